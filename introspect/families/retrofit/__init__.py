"""Retrofitted recurrence: a pretrained model cut into prelude, core and coda."""
