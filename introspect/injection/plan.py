"""A grid as a stream of trials, and how many there are without making them.

Trials of one site follow one another, so that a batch touches few sites. The arm `none` does not depend on the cell:
it is planned once a (concept, repeat), before all others, and shared by all cells.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from introspect.injection.grid import Grid
from introspect.records import Arm, Injection, Site, Trial


class Cell(NamedTuple):
    """The trials that differ only in concept and repeat; the arm `none` has one, with nothing in it."""

    arm: Arm
    sites: tuple[Site, ...] = ()
    extract_loop: int | None = None
    strength: float | None = None


@dataclass(frozen=True)
class Counts:
    """How many trials a grid has."""

    cells: dict[Cell, int]

    @property
    def arms(self) -> dict[Arm, int]:
        """Add up the cells of each arm."""
        arms: dict[Arm, int] = {}
        for cell, n in self.cells.items():
            arms[cell.arm] = arms.get(cell.arm, 0) + n
        return arms

    @property
    def total(self) -> int:
        """Add up all cells."""
        return sum(self.cells.values())


def plan(grid: Grid) -> Iterator[Trial]:
    """Give every trial of the grid once, as they are asked for."""
    for cell in cells(grid):
        injection = _injection(grid, cell)
        for concept in grid.concepts:
            for repeat in range(grid.repeats):
                yield _trial(grid, cell.arm, injection, concept, repeat)


def count(grid: Grid) -> Counts:
    """Count the trials of each cell without making them."""
    each = len(grid.concepts) * grid.repeats
    return Counts(dict.fromkeys(cells(grid), each))


def cells(grid: Grid) -> Iterator[Cell]:
    """Give the cells of the grid in the order in which they are run."""
    if "none" in grid.arms:
        yield Cell("none")
    groups = [(site,) for site in grid.sites] if grid.mode == "each" else [grid.sites]
    for sites in groups:
        for extract_loop in grid.extract_loops:
            for strength in grid.strengths:
                for arm in grid.arms:
                    if arm != "none":
                        yield Cell(arm, sites, extract_loop, strength)


def trial_seed(seed: int, concept: str, repeat: int) -> int:
    """Hash to 63 bits what an injected trial and its controls have in common, so that they share their draws."""
    digest = hashlib.sha256(f"{seed}\n{concept}\n{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _injection(grid: Grid, cell: Cell) -> Injection | None:
    if cell.strength is None:
        return None
    return Injection(cell.sites, cell.strength, grid.vectors_hash, cell.extract_loop, grid.unit)


def _trial(grid: Grid, arm: Arm, injection: Injection | None, concept: str, repeat: int) -> Trial:
    return Trial(
        model=grid.model,
        weights_hash=grid.weights_hash,
        dtype=grid.dtype,
        protocol=grid.protocol,
        template=grid.template,
        template_hash=grid.template_hash,
        concept=concept,
        arm=arm,
        injection=injection,
        n_loops=grid.n_loops,
        repeat=repeat,
        seed=trial_seed(grid.seed, concept, repeat),
        sampling=grid.sampling,
    )
