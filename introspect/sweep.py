"""The one function that walks the whole way: plan, inject, grade, store, tabulate, draw.

Goes in: Options. Comes out: the folder of a run. The same call again continues where the last one stopped; batches
are cut from the whole plan, so that a continued run computes the same batches as an undisturbed one.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FrameType

from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InterruptionError
from introspect.grading import Grader
from introspect.injection.guards import Failure
from introspect.injection.plan import Counts, count, plan
from introspect.injection.stream import Result, run_all
from introspect.laboratory import Laboratory, open_laboratory
from introspect.options import Options
from introspect.records import Response, Trial
from introspect.regrading import regrade
from introspect.results.figures import write_figures
from introspect.results.store import Store
from introspect.results.tables import write_tables

Report = Callable[[int, int], None]
"""Called with the trials done and the trials planned, at the beginning and after every batch."""


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

    Raises InputError for bad input, InterruptionError after Ctrl-C, StoreError when the disk is full.
    """
    laboratory = open_laboratory(options)
    laboratory.batch_size()  # before anything is written, it says whether one row fits
    with Store.open_or_create(options.folder, laboratory.manifest()) as store:
        run_trials(laboratory, laboratory.vectors(options.folder), store, report or (lambda *_: None))
        regrade(store, options.chosen_graders(), only_missing=True)
        tables, figures = write_tables(store), write_figures(store)
        return Swept(options.folder, store.count(), store.count("error"), tables, figures)


def estimate(options: Options) -> Estimate:
    """Say what a sweep would take, after running its last batch; nothing is stored."""
    laboratory = open_laboratory(options)
    vectors, size = laboratory.vectors(), laboratory.batch_size()
    grid = laboratory.grid(vectors)
    counts = count(grid)
    rows = min(size, counts.total)
    sample = islice(plan(grid), counts.total - rows, None)
    begin = time.perf_counter()
    ran = sum(len(batch) for batch in run_all(laboratory.engine(vectors), sample, size))
    seconds = (time.perf_counter() - begin) * counts.total / ran
    return Estimate(counts, size, rows * laboratory.row_bytes(), seconds)


def run_trials(laboratory: Laboratory, vectors: ConceptVectors, store: Store, report: Report) -> None:
    """Run the trials that the store lacks, a transaction a batch."""
    grid, engine, size = laboratory.grid(vectors), laboratory.engine(vectors), laboratory.batch_size()
    graders, done = laboratory.options.chosen_graders(), store.done_ids()
    finished, total = 0, count(grid).total
    report(finished, total)
    with stop_after_batch() as stopping:
        for batch in batches(plan(grid), size):
            missing = [trial for trial in batch if trial.id not in done]
            for results in run_all(engine, missing, size):
                _store(store, results, graders)
            finished += len(batch)
            report(finished, total)
            if stopping() and finished < total:
                raise InterruptionError(f"stopped after {finished} of {total} trials; the same command continues")


def batches(trials: Iterable[Trial], size: int) -> Iterator[list[Trial]]:
    """Cut a stream into lists of a size, the last one shorter."""
    stream = iter(trials)
    while batch := list(islice(stream, size)):
        yield batch


def _store(store: Store, results: Sequence[Result], graders: Sequence[Grader]) -> None:
    answered = [(trial, result) for trial, result in results if isinstance(result, Response)]
    store.add(answered, [grader(trial, response) for trial, response in answered for grader in graders])
    store.add_errors((trial, result.message) for trial, result in results if isinstance(result, Failure))


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
