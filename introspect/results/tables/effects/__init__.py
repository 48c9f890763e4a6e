"""Effects on logits beyond plain questions and controls, by concept, and what is tested of them."""
