"""Trials in, responses out: batches, doses, vectors of the arms, guards."""
