"""Concepts: words and prompt pairs from CSV files, and the concept vectors that a model's activations give for them."""
