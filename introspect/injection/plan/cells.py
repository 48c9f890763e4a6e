"""The cells of a grid, by their number: trials of one cell differ only in concept and repeat.

Goes in: a grid and a variant of a question. Come out: cells in the order in which they are run; how many there are, and
which is the k-th, is arithmetic and takes no walk.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from introspect.injection.plan.grid import Grid
from introspect.protocols import Variant
from introspect.records.trial import NOT_INJECTED, Arm, Site


class Cell(NamedTuple):
    """The trials that differ only in concept and repeat; arms without an injection have nothing in it but the loops."""

    variant: Variant
    arm: Arm
    n_loops: int
    sites: tuple[Site, ...] = ()
    extract_loop: int | None = None
    strength: float | None = None
    weights: tuple[float, ...] = ()


class Cells:
    """The cells in which one variant is asked: first those without an injection, then site by site.

    The last of the axes turns fastest: sites, loop of the extraction, strength, weights, arm.
    """

    def __init__(self, grid: Grid, variant: Variant) -> None:
        self.variant = variant
        arms = [arm for arm in grid.arms if arm in variant.question.arms]
        self._idle = list(product(grid.loops_run(), [arm for arm in arms if arm in NOT_INJECTED]))
        self._active = [arm for arm in arms if arm not in NOT_INJECTED]
        self._injections = list(grid.injections()) if self._active else []
        self._doses = list(product(grid.extract_loops, grid.strengths, variant.question.weights))

    def __len__(self) -> int:
        """Count the cells."""
        return len(self._idle) + len(self._injections) * len(self._doses) * len(self._active)

    def __getitem__(self, place: int) -> Cell:
        """Find a cell by its number, from 0. Raises IndexError behind the last one."""
        assert place >= 0, f"cell {place}: cells are counted from 0"
        if place < len(self._idle):
            n_loops, arm = self._idle[place]
            return Cell(self.variant, arm, n_loops)
        if place >= len(self):
            raise IndexError(f"cell {place} of {len(self)}")
        rest, arm_place = divmod(place - len(self._idle), len(self._active))
        injection, dose = divmod(rest, len(self._doses))
        n_loops, sites = self._injections[injection]
        return Cell(self.variant, self._active[arm_place], n_loops, sites, *self._doses[dose])

    def __iter__(self) -> Iterator[Cell]:
        """Return them all."""
        return (self[place] for place in range(len(self)))

    @property
    def at_one_site(self) -> int:
        """Count the cells that follow one another at one site."""
        return max(1, len(self._doses) * len(self._active))

    def arms(self) -> dict[Arm, int]:
        """Count the cells of each arm that has any."""
        counts = {arm: len(self._injections) * len(self._doses) for arm in self._active if self._injections}
        return {arm: sum(each == arm for _, each in self._idle) for _, arm in self._idle} | counts
