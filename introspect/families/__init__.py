"""Looped models by family: each has a folder with its config, its blocks, its model and how the package sees it."""
