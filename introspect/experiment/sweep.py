"""The one function that walks the whole way: plan, inject, grade, store, tabulate, draw.

Goes in: Options. Comes out: the folder of a run. The same call again continues where the last one stopped. Blocks are
cut from the whole plan, so that a continued run, and one by many workers, runs the same blocks as an undisturbed one.
"""

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InterruptionError
from introspect.experiment.design_version import unmatched_said
from introspect.experiment.laboratory import Laboratory, open_laboratory
from introspect.experiment.options import Options
from introspect.experiment.regrade import regrade
from introspect.experiment.workers import crew
from introspect.experiment.workers.driver import hand_out
from introspect.experiment.workers.trial_blocks import Block, Outcome, cut_into_blocks, run_block
from introspect.injection.engine.failures import Failure
from introspect.injection.plan.plan import plan
from introspect.injection.prefix.work import Work
from introspect.records.response import Response
from introspect.results.figures.all_figures import draw_all, write_figures
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import summaries, write_tables
from introspect.results.tables.rates.echoes import unended_said

Report = Callable[[int, int], None]
"""Called with the trials done and the trials planned, at the beginning and after every block."""
Stopping = Callable[[], bool]
"""Tells whether to begin no more blocks."""


@dataclass(frozen=True)
class Swept:
    """What a sweep left behind."""

    folder: Path
    done: int
    """Trials with a response, earlier ones included."""
    failed: int
    work: Work
    """What running the trials took this time, on all workers."""
    tables: list[Path]
    figures: list[Path]
    absent: dict[str, str]
    """Tables and figures that could not be made, with what each lacks."""
    unended: str | None
    """What is to be said of answers that end inside their thinking; None where those are few."""
    unmatched: str | None = None
    """What is to be said of partners of the arm `wrong` that do not qualify; None where all do."""


def run_sweep(options: Options, report: Report | None = None) -> Swept:
    """Run the sweep, or what is missing of it, and write its tables and figures.

    Raises InputError for bad input, InterruptionError after Ctrl-C, StoreError when the disk is full, and
    ChildProcessError when no worker stays alive.
    """
    laboratory = open_laboratory(options)
    laboratory.batch_size(crew.sharing(options))  # before anything is written, it says whether one row fits
    with Store.open_or_create(options.folder, laboratory.manifest()) as store:
        vectors = laboratory.vectors(options.folder)
        work = run_trials(laboratory, vectors, store, report or (lambda *_: None))
        regrade(store, options.chosen_graders(), only_missing=True, turns=laboratory.tap.looped.turns)
        made = summaries(store, options.chosen_coherence())
        drawn = draw_all(made.made)
        written = write_tables(store, made), write_figures(store, drawn)
        counts = store.count(), store.count("error")
        said = unended_said(store), unmatched_said(laboratory.design, laboratory.options, vectors)
        return Swept(options.folder, *counts, work, *written, made.absent | drawn.absent, *said)


def run_trials(laboratory: Laboratory, vectors: ConceptVectors, store: Store, report: Report) -> Work:
    """Run the trials that the store lacks, a transaction a block, and say what it took.

    With workers the model of the laboratory is let go first, since theirs need the memory.
    """
    sharing, trials, done = crew.sharing(laboratory.options), plan(laboratory.grid(vectors)), store.done_ids()
    rows = laboratory.batch_size(sharing)
    pace = laboratory.pace(rows, sharing)
    blocks = cut_into_blocks(trials, pace, done)
    work, finished, total = Work(), len(done), len(trials)
    report(finished, total)
    with stop_after_block() as stopping:
        with closing(_run(laboratory, vectors, blocks, rows, stopping)) as outcomes:
            for outcome in outcomes:
                _store(store, outcome)
                pace.note(len(outcome.results), outcome.seconds)
                work = Work(work.done + outcome.work.done, work.least + outcome.work.least)
                finished += len(outcome.results)
                report(finished, total)
        if stopping() and finished < total:
            raise InterruptionError(f"stopped after {finished} of {total} trials; the same command continues")
    return work


def _run(
    laboratory: Laboratory, vectors: ConceptVectors, blocks: Iterator[Block], rows: int, stopping: Stopping
) -> Generator[Outcome, None, None]:
    if crew.wanted(laboratory.options):
        laboratory.tap.looped.model.to("meta")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        with crew.opened(laboratory.options, laboratory.dtype, rows) as workers:
            yield from hand_out(workers, blocks, stopping)
        return
    engine = laboratory.engine(vectors)
    for block in blocks:
        yield run_block(engine, block, rows, laboratory.options.chosen_graders())
        if stopping():
            return


def _store(store: Store, outcome: Outcome) -> None:
    answered = ((trial, result) for trial, result in outcome.results if isinstance(result, Response))
    store.add(answered, outcome.grades)
    store.add_errors((trial, result.message) for trial, result in outcome.results if isinstance(result, Failure))


@contextmanager
def stop_after_block() -> Iterator[Stopping]:
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
