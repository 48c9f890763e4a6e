"""What families share: layers, and the causal language models that run them in loops."""
