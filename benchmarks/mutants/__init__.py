"""Small changes of the code, drawn at random, and which test notices each."""
