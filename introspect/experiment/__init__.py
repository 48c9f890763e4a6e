"""A sweep from its options to its folder: what is asked, the model it is asked of, the run that comes of it."""
