"""Injection: a grid as a stream of trials, and the engine that turns trials into responses, many at once.

`grid` and `plan` need no torch, so that a dry run is quick; import what is needed from the modules themselves.
"""
