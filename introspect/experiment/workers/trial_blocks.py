"""Blocks: the pieces of a plan that are handed out, run and stored whole.

Goes in: the stream of planned trials, and the ids of those that are done. Come out: blocks, and what became of them.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from introspect.grading import Grader
from introspect.grading.detection_time import graded
from introspect.injection.engine.block_stream import Result, run_all
from introspect.injection.engine.engine import Engine
from introspect.injection.engine.pace import Pace
from introspect.injection.prefix.work import Work
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial


@dataclass(frozen=True)
class Block:
    """Trials that are run together."""

    trials: tuple[Trial, ...]
    """Those that are not done yet, in the order of the plan; at least one."""

    @cached_property
    def name(self) -> str:
        """Return the hash of the ids of its trials."""
        return hashlib.sha256("\n".join(trial.id for trial in self.trials).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """A block that was run and graded."""

    block: Block
    results: list[Result]
    grades: list[Grade] = field(default_factory=list)
    work: Work = field(default_factory=Work)
    """What running it took; nothing for a block that no worker finished."""
    seconds: float = 0.0
    """How long it took."""


def cut_into_blocks(trials: Iterable[Trial], pace: Pace, done: Set[str]) -> Iterator[Block]:
    """Cut the whole plan into blocks, so that a continued run has the same ones, and leave out what is done."""
    stream = iter(trials)
    while block := list(islice(stream, pace.trials)):
        if missing := tuple(trial for trial in block if trial.id not in done):
            yield Block(missing)


def run_block(engine: Engine, block: Block, rows: int, graders: Sequence[Grader]) -> Outcome:
    """Run a block, at most `rows` trials side by side, and grade what was answered, where there are cores to do it."""
    before, begin = Work(engine.work.done, engine.work.least), time.monotonic()
    results = [result for part in run_all(engine, block.trials, rows) for result in part]
    answered = [(trial, result) for trial, result in results if isinstance(result, Response)]
    turns = engine.tap.looped.turns
    grades = [graded(grader, trial, response, turns) for trial, response in answered for grader in graders]
    work = Work(engine.work.done - before.done, engine.work.least - before.least)
    return Outcome(block, results, grades, work, time.monotonic() - begin)
