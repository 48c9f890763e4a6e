"""What is said of a family in lists: what its loops are, which checkpoints it reads, and what was verified of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """One family in words."""

    name: str
    loops: str
    """What one loop is."""
    source: str
    """The paper."""
    verified: str
    """What was held against what; real weights were never at hand."""
    checkpoints: tuple[str, ...] = ()
    """Hub ids whose layout this is, as published; empty when none is known that could be loaded."""
    licence: str = ""
    """Of these checkpoints, as far as it is known."""
