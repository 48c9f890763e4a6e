"""Doubles for a crew: workers inside this process, that answer when asked and die when told to."""

import random
from collections.abc import Callable, Iterator

from made import trial

from introspect.experiment.workers.events import Died, Done, Event, Ready
from introspect.experiment.workers.trial_blocks import Block
from introspect.injection.prefix.work import Work

Answer = Callable[[int, Block], list[Event]]
"""What a worker tells about a block that it is given."""


class Staff:
    """A crew whose workers answer at once, each heard in its own order, all in a random one if there is a source."""

    def __init__(self, size: int, answer: Answer, *, ready: Event | None = None, source: random.Random | None = None):
        self.size, self.started, self.closed = size, 0, False
        self.given: list[tuple[int, Block]] = []
        self._answer, self._ready, self._source = answer, ready or Ready(), source
        self._told: list[tuple[int, Event]] = []

    def start(self) -> int:
        self.started += 1
        self._told.append((self.started, self._ready))
        return self.started

    def submit(self, worker: int, block: Block) -> None:
        self.given.append((worker, block))
        self._told.extend((worker, event) for event in self._answer(worker, block))

    def next(self, timeout: float) -> tuple[int, Event] | None:
        assert timeout > 0
        worker = self._source.choice(self._told)[0] if self._source is not None else self._told[0][0]
        first = next(event for event in self._told if event[0] == worker)
        self._told.remove(first)
        return first

    def close(self) -> None:
        self.closed = True


def done(block: Block) -> Done:
    """Tell that a block is done, with nothing in it."""
    return Done(block.name, [], [], Work(1, 1), 0.0)


def dead(_: Block) -> Died:
    """Tell that the worker died."""
    return Died("killed by SIGKILL")


def blocks(n: int, size: int = 2) -> Iterator[Block]:
    """Make blocks of trials that differ in their repeats."""
    for number in range(n):
        yield Block(tuple(trial(repeat=number * size + row) for row in range(size)))
