"""Figures: each is drawn from the tables of a run."""
