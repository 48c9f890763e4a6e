"""The tokens of an answer: how they are drawn, and how yes, no and options are read from them."""
