"""The one function that walks the whole way: plan, inject, grade, store, tabulate, draw.

Goes in: Options. Comes out: the folder of a run. The same call again continues where the last one stopped; batches
are cut from the whole plan, so that a continued run computes the same batches as an undisturbed one.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from introspect.grading import grader_named
from introspect.injection.grid import Grid
from introspect.injection.guards import Failure
from introspect.injection.plan import Counts, count, plan
from introspect.injection.stream import run_all
from introspect.laboratory import Laboratory, batches, open_laboratory
from introspect.options import Options
from introspect.records import Grade, Response, Trial
from introspect.results.figures import write_figures
from introspect.results.store import Store
from introspect.results.tables import write_tables

Report = Callable[[int, int], None]
"""Called with the trials done and the trials planned, after every batch."""


class Interrupted(Exception):
    """The sweep was asked to stop; what was finished is stored."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"stopped after {done} of {total} trials; the same command continues")


@dataclass(frozen=True)
class Estimate:
    """What a sweep would take."""

    counts: Counts
    batch_size: int
    bytes: int
    """Memory of one batch, beside the weights."""
    seconds: float
    """For the trials alone, from one batch that was run and thrown away."""


@dataclass(frozen=True)
class Swept:
    """What a sweep left behind."""

    folder: Path
    done: int
    """Trials with a response, earlier ones included."""
    failed: int
    tables: list[Path]
    figures: list[Path]


def run_sweep(options: Options, report: Report | None = None) -> Swept:
    """Run the sweep, or what is missing of it, and write its tables and figures.

    Raises InputError for bad input, Interrupted after Ctrl-C, StoreError when the disk is full.
    """
    laboratory = open_laboratory(options)
    with Store.open_or_create(options.folder, laboratory.manifest()) as store:
        vectors = laboratory.vectors(options.folder)
        run_trials(laboratory, laboratory.grid(vectors), store, report or (lambda *_: None))
        tables, figures = write_tables(store), write_figures(store)
        return Swept(options.folder, store.count(), store.count("error"), tables, figures)


def estimate(options: Options) -> Estimate:
    """Say what a sweep would take, after running one batch; nothing is stored."""
    laboratory = open_laboratory(options)
    vectors, size = laboratory.vectors(), laboratory.batch_size()
    grid = laboratory.grid(vectors)
    counts = count(grid)
    engine, last = laboratory.engine(vectors), min(size, counts.total)
    sample = [trial for index, trial in zip(range(counts.total), plan(grid), strict=True) if index >= counts.total - last]
    begin = time.perf_counter()
    ran = sum(len(batch) for batch in run_all(engine, sample, size))
    seconds = (time.perf_counter() - begin) * counts.total / ran
    return Estimate(counts, size, min(size, counts.total) * laboratory.row_bytes(), seconds)


def run_trials(laboratory: Laboratory, grid: Grid, store: Store, report: Report) -> None:
    """Run the trials that the store lacks, a transaction a batch."""
    size, total = laboratory.batch_size(), count(grid).total
    engine = laboratory.engine(laboratory.vectors(store.folder))
    done, graders = store.done_ids(), [grader_named(name) for name in laboratory.options.chosen_graders()]
    finished = 0
    report(finished, total)
    with stop_after_batch() as stopping:
        for batch in batches(plan(grid), size):
            missing = [trial for trial in batch if trial.id not in done]
            for results in run_all(engine, missing, size):
                answered = [(trial, result) for trial, result in results if isinstance(result, Response)]
                grades = [grader(trial, response) for trial, response in answered for grader in graders]
                _store(store, answered, grades, [r for _, r in results if isinstance(r, Failure)])
            finished += len(batch)
            report(finished, total)
            if stopping() and finished < total:
                raise Interrupted(finished, total)


def _store(
    store: Store, answered: Sequence[tuple[Trial, Response]], grades: Sequence[Grade], failures: Sequence[Failure]
) -> None:
    store.add(answered, grades)
    store.add_errors((failure.trial, failure.message) for failure in failures)


@contextmanager
def stop_after_batch() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C only be noted, for as long as the context is open; the second one interrupts at once."""
    noted: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)
