"""Injection: a grid as a stream of trials, and the engine that turns trials into responses, many at once.

Its floors, each resting on those before: `plan`, `prefix`, `step`, `answers`, `engine`. `plan` needs no torch, so that
a dry run is quick; import what is needed from the modules themselves.
"""
