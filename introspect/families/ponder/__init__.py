"""PonderLM: the mean embedding of a prediction is fed back."""
