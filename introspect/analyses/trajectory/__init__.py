"""Trajectory: the path of a prompt's last token through (loop, layer), and what is left of an injection in the cache.

Goes in: the options of a sweep, or a run. Comes out: an Analysis, whose entry is `making.trajectory`.
"""
