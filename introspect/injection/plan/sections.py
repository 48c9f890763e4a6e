"""The part of a plan that asks one question: its members crossed with its cells, those of one prompt together.

Goes in: a grid and a variant. Come out: cells with their members, from any place on; nothing before it is made.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from introspect.injection.plan.cells import Cell, Cells
from introspect.injection.plan.grid import Grid
from introspect.protocols import Asked, Occasion, Variant

WINDOW = 4096
"""Occasions whose prompts are put in order at once, where prompts differ; more of them take memory."""


class Member(NamedTuple):
    """A concept and repeat, and how they are asked."""

    concept: str
    repeat: int
    asked: Asked


class Members:
    """Every concept and repeat of a grid, each asked as often as a question is on one occasion."""

    def __init__(self, grid: Grid, variant: Variant) -> None:
        self._grid, self._ask = grid, variant.question.ask
        self._items = len(self._ask(Occasion(grid.concepts[0], grid.concepts, 0, grid.numbers[0])))
        self.total = len(grid.concepts) * grid.repeats * self._items

    def between(self, start: int, stop: int) -> Iterator[Member]:
        """Yield those from one number up to another."""
        for place in range(start // self._items, -(-stop // self._items)):
            concept, repeat = divmod(place, self._grid.repeats)
            word, number = self._grid.concepts[concept], self._grid.numbers[repeat % len(self._grid.numbers)]
            asked = self._ask(Occasion(word, self._grid.concepts, repeat, number, self._grid.partners_of(word)))
            first = place * self._items
            yield from (Member(word, repeat, each) for each in asked[max(start - first, 0) : stop - first])


class Stretch(NamedTuple):
    """A part of the plan: some members, asked in one cell after another."""

    start: int
    """Where in the section it begins."""
    total: int
    """How many members it has."""
    members: Sequence[Member] | None = None
    """Those of one prompt; None: all that there are, too many to be listed."""


class Section:
    """The part of a plan that asks one variant."""

    def __init__(self, grid: Grid, variant: Variant) -> None:
        self.grid, self.cells, self.members = grid, Cells(grid, variant), Members(grid, variant)
        self.total = len(self.cells) * self.members.total
        self.varies = variant.question.varies or len(grid.numbers) > 1
        """Whether its trials have more than one prompt; then its members are put in order, a window at a time."""
        self._window, self._found = -1, list[Stretch]()
        """The window whose prompts were put in order last, and its stretches."""

    def between(self, start: int, stop: int) -> Iterator[tuple[Cell, Iterator[Member]]]:
        """Yield the cells from one place up to another, each with its members there."""
        while start < stop:
            stretch = self._stretch(start)
            cell, member = divmod(start - stretch.start, stretch.total)
            last = min(member + stop - start, stretch.total)
            yield self.cells[cell], self._members(stretch, member, last)
            start += last - member

    def around(self, place: int) -> range:
        """Return the places of the trials that have one prompt, but for what the arm `text` writes into it."""
        stretch = self._stretch(place)
        return range(stretch.start, stretch.start + stretch.total * len(self.cells))

    @property
    def prompts(self) -> int:
        """Return how many prompts are run, one a number of loops; where many differ, judged by the first window."""
        loops = len(self.grid.loops_run())
        if not self.varies:
            return loops
        first = min(WINDOW, self.members.total)
        return round(len(list(self._stretches(0))) / first * self.members.total) * loops

    def _stretch(self, place: int) -> Stretch:
        """Find the stretch that a place is in."""
        if not self.varies:
            return Stretch(0, self.members.total)
        window = place // (WINDOW * len(self.cells))
        if self._window != window:
            self._window, self._found = window, list(self._stretches(window))
        return self._found[bisect_right(self._found, place, key=lambda each: each.start) - 1]

    def _stretches(self, window: int) -> Iterator[Stretch]:
        """Put the members of a window in the order of their prompts, and those of one prompt together."""
        first = window * WINDOW
        start = first * len(self.cells)
        members = sorted(self.members.between(first, min(first + WINDOW, self.members.total)), key=_variables)
        for _, alike in groupby(members, key=_variables):
            together = list(alike)
            yield Stretch(start, len(together), together)
            start += len(together) * len(self.cells)

    def _members(self, stretch: Stretch, start: int, stop: int) -> Iterator[Member]:
        if stretch.members is None:
            return self.members.between(start, stop)
        return iter(stretch.members[start:stop])


def _variables(member: Member) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(member.asked.variables.items()))
