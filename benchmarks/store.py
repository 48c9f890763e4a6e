"""How fast a run of a million trials is planned, stored, opened, continued, tabulated and drawn. No model is needed.

    python -m benchmarks.store --trials 1000000

Goes in: how many trials. Comes out: a table of seconds, rows a second and memory, and the size of the file. The
trials are those of a real plan; responses and grades are made up, but stored and read as a sweep does.
"""

import argparse
import os
import random
import resource
import sqlite3
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from rich.progress import track

from benchmarks.timing import OUT, show, show_machine
from introspect.experiment.regrade import regrade
from introspect.grading import grader_named
from introspect.injection.plan.grid import Grid
from introspect.injection.plan.plan import plan
from introspect.prompts import template_named
from introspect.protocols import NEUTRAL, Variant, protocol_named
from introspect.records.response import Grade, Readout, Response
from introspect.records.trial import Site, Trial
from introspect.results.figures.all_figures import draw_all, write_figures
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import brief, summaries, trials_table, write_tables

LOOPS, LAYERS, CONCEPTS, STRENGTHS = 4, 24, 50, (0.5, 1.0, 2.0, 4.0)
BLOCK = 1024
"""Trials stored in one transaction."""
SAMPLE = 20_000
"""Trials that are graded, and planned under the eyes of tracemalloc, which slows everything down."""
DETECT = protocol_named("detect")
GRID = Grid(
    model="ByteDance/Ouro-1.4B",
    weights_hash="0123456789abcdef",
    dtype="bfloat16",
    protocol=DETECT.name,
    variants=tuple(
        Variant(question, question.templates[NEUTRAL], template_named(question.templates[NEUTRAL]).hash)
        for question in DETECT.questions
    ),
    totals=(LOOPS,),
    layers={"prelude": 0, "core": LAYERS, "coda": 0},
    concepts=tuple(f"concept-{number}" for number in range(CONCEPTS)),
    sites=tuple(Site(loop, layer) for loop in range(LOOPS) for layer in range(LAYERS)),
    strengths=STRENGTHS,
    vectors_hash="00112233445566aa",
    vector_loops=LOOPS,
)
"""What the protocol asks by default, in the arms injected, none and random."""


@dataclass(frozen=True)
class Measured:
    """One thing that was done to all rows, or to a number of them."""

    what: str
    seconds: float
    rows: int
    cpu: float
    """Seconds of processor time, which other programs on the machine change less."""
    note: str = ""

    def cells(self, base: float) -> list[str]:
        """Write it as the cells of a row, with the peak of the process so far over what it took before."""
        speed = f"{self.rows / self.seconds:,.0f}" if self.seconds > 0.001 else ""
        times = [f"{self.seconds:.3f}", f"{self.cpu:.3f}"]
        return [self.what, f"{self.rows:,}", *times, speed, f"{peak() - base:.0f}", self.note]


def peak() -> float:
    """Return the most memory that this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # which Linux counts in KiB


def grid_of(trials: int) -> Grid:
    """Return the grid with as many repeats as it takes to have so many trials."""
    return replace(GRID, repeats=-(-trials // len(plan(GRID))))


def made_response(trial: Trial, draws: random.Random) -> Response:
    """Make up an answer of thirty tokens with its read-outs."""
    text = draws.choice(
        [
            f"Yes. I notice an injected thought; it seems to be about {trial.concept}, though I am not certain of it.",
            "No, I do not detect any injected thought, my processing seems to be entirely as usual right now.",
            "I am not sure what you mean by that. Could you tell me more about what I should look for here?",
        ]
    )
    reads = (made_readout(at, draws) for at in range(LOOPS))
    tokens = tuple(draws.randrange(49152) for _ in range(30))
    norms = (None, None) if trial.injection is None else (draws.random() + 1, draws.random() + 20)
    return Response(trial.id, text, tokens, "stop", tuple(reads), *norms)


def made_readout(loop: int, draws: random.Random) -> Readout:
    """Make up what is read out after a loop."""
    yes, no = draws.gauss(9, 2), draws.gauss(9, 2)
    return Readout(loop, yes, no, draws.random(), draws.random(), concept_rank=draws.randrange(49152))


def made_grade(trial: Trial, response: Response) -> Grade:
    """Grade a made up answer by its first letter."""
    yes = {"Y": True, "N": False}.get(response.text[0])
    answer = None if yes is None else "yes" if yes else "no"
    if trial.expected is None:
        return Grade(trial.id, "rules", "1", yes, yes, True, False, response.text[:40], answer=answer)
    right = None if answer is None else answer == trial.expected
    return Grade(trial.id, "rules", "1", None, None, True, None, response.text[:40], answer=answer, correct=right)


def measure(trials: int, folder: Path) -> Iterator[Measured]:
    """Do everything in turn that is done to a run, and say how long it took."""
    grid = grid_of(trials)
    yield timed("plan, hashed", trials, lambda: [None for one in islice(plan(grid), trials) if not one.id])
    yield planned_in(grid, SAMPLE // 10)
    yield planned_in(grid, SAMPLE)
    yield filled(grid, trials, folder / "run")
    yield graded(folder / "run")
    with Store.open(folder / "run", write=True) as store:
        yield timed("regrade, nothing missing", trials, lambda: regrade(store, [StoredGrader()], only_missing=True))
    yield timed("open", trials, lambda: Store.open(folder / "run").close())
    with Store.open(folder / "run", hashed=False) as store:
        yield timed("brief tables, to watch a run", trials, lambda: brief(store))
    with Store.open(folder / "run") as store:
        done: set[str] = set()
        yield timed("ids of the done", trials, lambda: done.update(store.done_ids()))
        missing = (one for one in islice(plan(grid), trials) if one.id not in done)
        yield timed("resume: plan less the done", trials, lambda: [one.id for one in missing])
        done.clear()
        made = {}
        yield timed("tables, trials.csv left out", trials, lambda: made.update(summaries(store).made))
        yield timed("figures, drawn", trials, lambda: draw_all(made))
        yield timed("tables, trials.csv included", trials, lambda: write_tables(store))
        yield timed("figures, written", trials, lambda: write_figures(store))
        yield timed("trials as a frame", trials, lambda: trials_table(store))


def timed(what: str, rows: int, run: Callable[[], object], note: str = "") -> Measured:
    """Time one call."""
    begin, before = time.perf_counter(), time.process_time()
    run()
    return Measured(what, time.perf_counter() - begin, rows, time.process_time() - before, note)


def planned_in(grid: Grid, trials: int) -> Measured:
    """Say how much memory the stream of trials takes at most, by tracemalloc."""
    tracemalloc.start()
    try:
        measured = timed("plan, traced", trials, lambda: [None for one in islice(plan(grid), trials) if not one.id])
        return replace(measured, note=f"peak of the stream {tracemalloc.get_traced_memory()[1] / 1024:.1f} KiB")
    finally:
        tracemalloc.stop()


def filled(grid: Grid, trials: int, folder: Path) -> Measured:
    """Store the trials in blocks; making up the responses is not timed."""
    draws, stored = random.Random(0), []
    with Store.create(folder, {"model": grid.model}) as store:
        stream = islice(plan(grid), trials)
        for _ in track(range(0, trials, BLOCK), "storing", transient=True):
            block = list(islice(stream, BLOCK))
            answered = [(one, made_response(one, draws)) for one in block]
            grades = [made_grade(*one) for one in answered]
            stored.append(timed("", len(block), partial(store.add, answered, grades)))
        size = store.path.stat().st_size
    seconds, cpu = sum(one.seconds for one in stored), sum(one.cpu for one in stored)
    return Measured("store", seconds, trials, cpu, f"{size / 2**20:.0f} MiB, {size / trials:.0f} bytes a row")


def graded(folder: Path) -> Measured:
    """Grade a sample by the rules."""
    rules = grader_named("rules")
    with Store.open(folder) as store:
        sample = [(one, store.response(one.id)) for one in islice(store.trials(), SAMPLE)]
    return timed("grade by the rules", len(sample), lambda: [rules(*one) for one in sample])


class StoredGrader:
    """The grader whose grades are in the store; it is not asked again."""

    name, version = "rules", "1"

    def __call__(self, trial: Trial, response: Response) -> Grade:
        """Refuse to grade."""
        raise AssertionError(f"trial {trial.id} is graded already: {response.text}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time planning, storing, resuming and tables of a large run.")
    parser.add_argument("--trials", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="where the run is made, for the time of this; default: temporary")
    asked = parser.parse_args(arguments)
    show_machine()
    OUT.print(f"sqlite {sqlite3.sqlite_version}, pandas {version('pandas')}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        base = peak()
        rows = [measured.cells(base) for measured in measure(asked.trials, Path(folder))]
    header = ["", "rows", "seconds", "cpu", "rows/s", "MiB", ""]
    show(
        f"{asked.trials:,} trials, {BLOCK} a transaction; MiB: peak so far, over {base:.0f} of libraries", header, rows
    )


if __name__ == "__main__":
    main()
