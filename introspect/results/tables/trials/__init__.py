"""Trials as rows, and the labels that people gave them: what every table is made from."""
