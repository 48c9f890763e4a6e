"""PonderLM-2: every token thinks in stages of its own before the next one begins."""
