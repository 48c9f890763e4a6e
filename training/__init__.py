"""How the shipped organisms were made: tokenizer, language, dialogues, training, and a quick look at the result."""
