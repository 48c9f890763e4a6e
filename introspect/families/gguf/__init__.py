"""GGUF files: config, tokenizer and quantised weights in one file."""
