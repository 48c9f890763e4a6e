"""A grid as a stream of trials, and how many there are without making them.

Trials of one prompt follow one another, and among these trials of one site, so that a batch shares as much as it can.
Arms without an injection do not depend on the cell: they are planned once a number of loops, before all others, and
shared by all cells.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import NamedTuple

from introspect.injection.grid import Grid
from introspect.protocols import Asked, Occasion, Variant
from introspect.records import NOT_INJECTED, Arm, Injection, Sampling, Site, Trial

WINDOW = 4096
"""Occasions whose prompts are put in order at once, where prompts differ; more of them take memory."""


class Cell(NamedTuple):
    """The trials that differ only in concept and repeat; arms without an injection have nothing in it but the loops."""

    variant: Variant
    arm: Arm
    n_loops: int
    sites: tuple[Site, ...] = ()
    extract_loop: int | None = None
    strength: float | None = None
    weights: tuple[float, ...] = ()


class Member(NamedTuple):
    """A concept and repeat, and how they are asked."""

    concept: str
    repeat: int
    asked: Asked


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
    for variant in grid.variants:
        if not variant.question.varies and len(grid.numbers) == 1:
            for cell in cells(grid, variant):
                yield from _trials(grid, cell, _members(grid, variant))
            continue
        members = _members(grid, variant)
        while window := sorted(islice(members, WINDOW), key=_variables):
            for _, alike in groupby(window, key=_variables):
                together = list(alike)
                for cell in cells(grid, variant):
                    yield from _trials(grid, cell, iter(together))


def count(grid: Grid) -> Counts:
    """Count the trials of each cell without making them."""
    counts: dict[Cell, int] = {}
    for variant in grid.variants:
        items = len(variant.question.ask(Occasion(grid.concepts[0], grid.concepts, 0, grid.numbers[0])))
        each = len(grid.concepts) * grid.repeats * items
        counts |= dict.fromkeys(cells(grid, variant), each)
    return Counts(counts)


def cells(grid: Grid, variant: Variant) -> Iterator[Cell]:
    """Give the cells of the grid in which a question is asked, in the order in which they are run."""
    arms = [arm for arm in grid.arms if arm in variant.question.arms]
    for n_loops in grid.loops_run():
        yield from (Cell(variant, arm, n_loops) for arm in arms if arm in NOT_INJECTED)
    active = [arm for arm in arms if arm not in NOT_INJECTED]
    for n_loops, sites in grid.injections() if active else ():
        for extract_loop in grid.extract_loops:
            for strength in grid.strengths:
                for weights in variant.question.weights:
                    yield from (Cell(variant, arm, n_loops, sites, extract_loop, strength, weights) for arm in active)


def trial_seed(seed: int, concept: str, repeat: int) -> int:
    """Hash to 63 bits what an injected trial and its controls have in common, so that they share their draws."""
    digest = hashlib.sha256(f"{seed}\n{concept}\n{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _members(grid: Grid, variant: Variant) -> Iterator[Member]:
    for concept in grid.concepts:
        for repeat in range(grid.repeats):
            number = grid.numbers[repeat % len(grid.numbers)]
            for asked in variant.question.ask(Occasion(concept, grid.concepts, repeat, number)):
                yield Member(concept, repeat, asked)


def _variables(member: Member) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(member.asked.variables.items()))


def _trials(grid: Grid, cell: Cell, members: Iterator[Member]) -> Iterator[Trial]:
    """Give the trials of a cell; what they share is made once."""
    injection, sampling, question = _injection(grid, cell), _sampling(grid, cell), cell.variant.question
    loops = tuple(dict.fromkeys(site.loop for site in cell.sites))
    expects = None if question.expects is None else question.expects(loops, cell.n_loops, cell.weights)
    for concept, repeat, asked in members:
        written = {"written": concept} if cell.arm == "text" else {}
        yield Trial(
            model=grid.model,
            weights_hash=grid.weights_hash,
            dtype=grid.dtype,
            protocol=grid.protocol,
            template=cell.variant.template,
            template_hash=cell.variant.template_hash,
            concept=concept,
            arm=cell.arm,
            injection=injection,
            n_loops=cell.n_loops,
            repeat=repeat,
            seed=trial_seed(grid.seed, concept, repeat),
            sampling=sampling,
            question=question.name,
            variables=tuple(sorted({**asked.variables, **written}.items())),
            options=asked.options,
            expected=expects if asked.expected is None else asked.expected,
            partner=grid.partners[concept] if cell.arm == "wrong" else None,
        )


def _injection(grid: Grid, cell: Cell) -> Injection | None:
    if cell.strength is None:
        return None
    strength = cell.strength / len(cell.sites) if grid.split_dose else cell.strength
    return Injection(cell.sites, strength, grid.vectors_hash, cell.extract_loop, grid.unit, cell.weights)


def _sampling(grid: Grid, cell: Cell) -> Sampling:
    most = cell.variant.question.max_new_tokens
    if most is None or most >= grid.sampling.max_new_tokens:
        return grid.sampling
    return replace(grid.sampling, max_new_tokens=most)
