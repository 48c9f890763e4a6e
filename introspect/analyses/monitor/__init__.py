"""Monitors: what a model says of its answers against what its states know, per loop."""
