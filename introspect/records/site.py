"""Site: one block of a looped model in one pass through it, in a loop, or before or behind all loops."""

from dataclasses import dataclass
from typing import Literal

Stage = Literal["prelude", "core", "coda"]
STAGES: tuple[Stage, ...] = ("prelude", "core", "coda")
PRELUDE, CODA = -1, 1_000_000
"""In place of a loop: of blocks that run once before all loops, and of those that run once behind them."""
LOOP_OF: dict[Stage, int] = {"prelude": PRELUDE, "coda": CODA}


@dataclass(frozen=True, order=True)
class Site:
    """One block in one pass through it; sites sort into the order in which they run."""

    loop: int
    """PRELUDE or CODA for blocks outside the loops."""
    layer: int
    """Counted within the stage."""

    @property
    def stage(self) -> Stage:
        """Say whether the block is run in every loop (core), or once before or behind them."""
        return "prelude" if self.loop == PRELUDE else "coda" if self.loop == CODA else "core"

    def __str__(self) -> str:
        """Write the site as `loop:layer`, outside the loops as `prelude:layer` or `coda:layer`."""
        return f"{self.loop if self.stage == 'core' else self.stage}:{self.layer}"

    @classmethod
    def read(cls, text: str) -> "Site":
        """Read what `str` writes."""
        where, _, layer = text.partition(":")
        outside = {str(stage): loop for stage, loop in LOOP_OF.items()}
        return cls(outside[where] if where in outside else int(where), int(layer))
