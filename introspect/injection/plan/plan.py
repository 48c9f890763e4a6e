"""A grid as a stream of trials: how many there are, and the k-th of them, without making the others.

Trials of one prompt follow one another, and among these trials of one site, so that a batch shares as much as it can.
Arms without an injection do not depend on the cell: they are planned once a number of loops, before all others, and
shared by all cells.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from introspect.injection.plan.cells import Cell
from introspect.injection.plan.grid import Grid
from introspect.injection.plan.sections import Member, Section
from introspect.protocols import Variant
from introspect.records.trial import OF_ANOTHER, Arm, Injection, Sampling, Trial


@dataclass(frozen=True)
class Tally:
    """How many cells there are of one kind, all of one size."""

    cells: int
    each: int
    """Trials in every cell."""

    @property
    def trials(self) -> int:
        """Multiply."""
        return self.cells * self.each


@dataclass(frozen=True)
class Counts:
    """How many trials a grid has."""

    tallies: dict[tuple[Variant, Arm], Tally]

    @property
    def arms(self) -> dict[Arm, int]:
        """Add up the trials of each arm."""
        arms: dict[Arm, int] = {}
        for (_, arm), tally in self.tallies.items():
            arms[arm] = arms.get(arm, 0) + tally.trials
        return arms

    @property
    def total(self) -> int:
        """Add up all trials."""
        return sum(tally.trials for tally in self.tallies.values())


class Plan:
    """Every trial of a grid once, in the order in which they are run; a trial is made when it is asked for."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.sections = grid, [Section(grid, variant) for variant in grid.variants]
        self.starts = [0, *accumulate(section.total for section in self.sections)]
        """Where each section begins, and the end."""

    def __len__(self) -> int:
        """Count the trials."""
        return self.starts[-1]

    def __getitem__(self, place: int) -> Trial:
        """Make the trial at a place, from 0. Raises IndexError behind the last one."""
        assert place >= 0, f"place {place}: trials are counted from 0"
        if place >= len(self):
            raise IndexError(f"trial {place} of {len(self)}")
        return next(self.between(place, place + 1))

    def __iter__(self) -> Iterator[Trial]:
        """Return them all."""
        return self.between(0, len(self))

    def between(self, start: int, stop: int) -> Iterator[Trial]:
        """Yield the trials from one place up to another."""
        for section, begin in zip(self.sections, self.starts, strict=False):
            for cell, members in section.between(max(start - begin, 0), min(stop - begin, section.total)):
                yield from _trials(self.grid, cell, members)

    @property
    def counts(self) -> Counts:
        """Count the trials by question and arm."""
        return Counts(
            {
                (section.cells.variant, arm): Tally(cells, section.members.total)
                for section in self.sections
                for arm, cells in section.cells.arms().items()
            }
        )


def plan(grid: Grid) -> Plan:
    """Lay out the trials of a grid."""
    return Plan(grid)


def trial_seed(seed: int, concept: str, repeat: int) -> int:
    """Hash to 63 bits what an injected trial and its controls have in common, so that they share their draws."""
    digest = hashlib.sha256(f"{seed}\n{concept}\n{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _trials(grid: Grid, cell: Cell, members: Iterator[Member]) -> Iterator[Trial]:
    """Yield the trials of a cell; what they share is made once."""
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
            partner=grid.partners[cell.arm][concept] if cell.arm in OF_ANOTHER else None,
            date=grid.dates.get(cell.variant.template_hash),
        )


def _injection(grid: Grid, cell: Cell) -> Injection | None:
    if cell.strength is None:
        return None
    strength = cell.strength / len(cell.sites) if grid.split_dose else cell.strength
    aligned = grid.aligned and len(cell.sites) > 1
    return Injection(
        cell.sites,
        strength,
        grid.vectors_hash,
        cell.extract_loop,
        grid.unit,
        cell.weights,
        aligned,
        reference=grid.reference if grid.unit == "kl" else None,
        states=grid.states_hash if cell.arm == "swap" else None,
    )


def _sampling(grid: Grid, cell: Cell) -> Sampling:
    most = cell.variant.question.max_new_tokens
    if most is None or most >= grid.sampling.max_new_tokens:
        return grid.sampling
    return replace(grid.sampling, max_new_tokens=most)
