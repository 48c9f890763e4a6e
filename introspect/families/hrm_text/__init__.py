"""HRM-Text: two stacks that run in turn, the prompt read both ways."""
