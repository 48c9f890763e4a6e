"""LoopedLayers: which layers of a model without loops are run several times, and how. Imports no torch.

Goes in: what the user writes. Comes out: the prelude, core and coda of a training-free looped model
(arXiv 2605.23872), and the name by which it is told from the model as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

from introspect.errors import InputError
from introspect.selection import one_of, select

LoopStep = Literal["damped", "plain"]
LOOP_STEPS: tuple[LoopStep, ...] = ("damped", "plain")
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class LoopedLayers:
    """A contiguous run of layers, counted from 0, and what one pass through it adds."""

    first: int
    last: int
    """Inclusive."""
    step: LoopStep
    """plain: each layer adds its update in every loop. damped: in each of K loops it adds 1/K of it."""

    @classmethod
    def read(cls, layers: str, step: str, n_layers: int) -> Self:
        """Read the options --loop-layers and --loop-step for a model of so many layers. Raises InputError."""
        chosen = select(layers, n_layers, option="loop_layers")
        first, last = chosen[0], chosen[-1]
        if len(chosen) != last - first + 1:
            raise InputError(f"loop_layers {layers!r}: must be one run of layers without a gap, such as {first}-{last}")
        return cls(first, last, one_of(step, LOOP_STEPS, kind="loop step"))

    @property
    def name(self) -> str:
        """Return what is put behind a model's name."""
        return f"@{self.first}-{self.last}-{self.step}"

    def stages(self, layers: Sequence[_Item]) -> tuple[Sequence[_Item], Sequence[_Item], Sequence[_Item]]:
        """Cut all layers of the model into prelude, core and coda."""
        return layers[: self.first], layers[self.first : self.last + 1], layers[self.last + 1 :]
