"""Blocks: the pieces of a plan that are handed out, run and stored whole.

Goes in: the stream of planned trials, and the ids of those that are done. Come out: blocks, and what became of them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from functools import cached_property

from introspect.injection.engine import Engine
from introspect.injection.stream import Result, blocks, run_all
from introspect.injection.work import Work
from introspect.records import Trial


@dataclass(frozen=True)
class Block:
    """Trials that are run together."""

    trials: tuple[Trial, ...]
    """Those that are not done yet, in the order of the plan."""
    planned: int
    """How many trials of the plan it covers, those that are done included."""

    @cached_property
    def name(self) -> str:
        """Give the hash of the ids of its trials."""
        return hashlib.sha256("\n".join(trial.id for trial in self.trials).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """A block that was run."""

    block: Block
    results: list[Result]
    work: Work = field(default_factory=Work)
    """What running it took; nothing for a block that no worker finished."""


def cut(trials: Iterable[Trial], rows: int, done: Set[str]) -> Iterator[Block]:
    """Cut the whole plan into blocks, so that a continued run has the same ones, and leave out what is done."""
    for block in blocks(trials, rows):
        yield Block(tuple(trial for trial in block if trial.id not in done), len(block))


def run_block(engine: Engine, block: Block, rows: int) -> Outcome:
    """Run a block, at most `rows` trials side by side."""
    before = Work(engine.work.done, engine.work.least)
    results = [result for part in run_all(engine, block.trials, rows) for result in part]
    return Outcome(block, results, Work(engine.work.done - before.done, engine.work.least - before.least))
