"""Nanbeige4.2: Llama's stack run twice, with a norm after every loop."""
