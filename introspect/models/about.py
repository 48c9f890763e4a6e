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
    """What it was held against, with `equal_to_published` first where that is known; published weights were never at
    hand."""
    checkpoints: tuple[str, ...] = ()
    """Hub ids whose layout this is, as published; empty when none is known that could be loaded."""
    licence: str = ""
    """Of these checkpoints, as far as it is known."""


def equal_to_published(month: str, difference: float, code: str) -> str:
    """Say how far logits are from those of the published code, in float32 on small random weights.

    Args:
        month: when they were compared, such as `November 2026`.
        difference: the largest difference of two logits over the largest logit, as measured.
        code: what was run: the repository and the commit.
    """
    measured = f"{difference:.1e}".replace("e-0", "e-")
    return f"equal to the published code, {month}: largest relative difference {measured} (float32), {code}"
