"""Training-free looping: layers of a model without loops are run several times."""
