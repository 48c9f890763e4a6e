"""The time of a decode step, which is what long answers take more than short ones, over the tokens that are more."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

import torch

from benchmarks.baselines import generate
from benchmarks.engines import ours
from benchmarks.floors import Bandwidth, step_bytes
from benchmarks.gpu.shapes import Extent
from benchmarks.lesser_engines import EngineWithoutCleanPass, IdleEngine
from benchmarks.setting import Setting
from benchmarks.timing import Budget, seconds, show
from introspect.injection.engine.engine import Engine
from introspect.injection.step.engines import EngineName
from introspect.records.trial import Trial

STEPS_AIM, INJECTION_AIM = 0.7, 1.03
AT = 64
"""Rows of the first aim."""
Runs = Callable[[int], object]
"""Makes answers of so many tokens."""
GENERATE, EMPTY = "plain generate", "graph, empty plan"
SPENT, FULL = "left out, the time is spent", "out of memory"


def step_table(
    name: str, made: Setting, extent: Extent, engines: Sequence[EngineName], speed: Bandwidth, rounds: int, left: Budget
) -> list[dict[str, object]]:
    """Print the steps of a shape at every number of rows, and return them."""
    rows = [row for size in extent.rows for row in _steps(made, extent, engines, speed, size, rounds, left)]
    title = f"{name}: a decode step; aims: the floor at least {STEPS_AIM:.0%} at {AT} rows, "
    title += f"`graph` at most {INJECTION_AIM} of the empty plan"
    show(title, list(rows[0]), [[_shown(value) for value in row.values()] for row in rows])
    return [{"shape": name, **row} for row in rows]


def _steps(
    made: Setting,
    extent: Extent,
    engines: Sequence[EngineName],
    speed: Bandwidth,
    rows: int,
    rounds: int,
    left: Budget,
) -> list[dict[str, object]]:
    answers = {n: made.trials(rows, n) for n in (extent.short, extent.long)}
    prompts, vectors = made.engine.prompts, made.vectors
    run_by: dict[str, Engine] = {
        each: EngineWithoutCleanPass(made.tap, prompts, vectors, steps=each) for each in engines
    }
    run_by |= {EMPTY: IdleEngine(made.tap, prompts, vectors, steps="graph")} if "graph" in engines else {}
    runs: dict[str, Runs] = {each: partial(_answer, engine, answers) for each, engine in run_by.items()}
    runs[GENERATE] = partial(generate, made.plain, made.encoded, rows)
    taken = differences(runs, extent, rounds, left)
    return [_row(each, made, rows, (extent.short + extent.long) / 2, taken, speed) for each in runs]


def _answer(engine: Engine, answers: Mapping[int, list[Trial]], n: int) -> object:
    return ours(engine, answers[n], len(answers[n]))


def _row(
    name: str, made: Setting, rows: int, written: float, taken: Mapping[str, list[float] | str], speed: Bandwidth
) -> dict[str, object]:
    found = taken[name]
    read = step_bytes(made.looped, made.encoded, rows, written, shared=name != GENERATE)
    step = None if isinstance(found, str) else median(found)
    return {
        "rows": rows,
        "step": name,
        "ms": found if isinstance(found, str) else 1e3 * median(found),
        "floor ms, copy": 1e3 * read / speed.measured,
        "floor ms, nominal": None if speed.nominal is None else 1e3 * read / speed.nominal,
        "floor / step": None if step is None else read / speed.measured / step,
        "over `graph`": _over(taken, name, "graph"),
        "rounds": 0 if isinstance(found, str) else len(found),
    }


def _over(taken: Mapping[str, list[float] | str], name: str, other: str) -> float | None:
    one, base = taken[name], taken.get(other, "")
    return None if isinstance(one, str) or isinstance(base, str) else median(one) / median(base)


def differences(runs: Mapping[str, Runs], extent: Extent, rounds: int, left: Budget) -> dict[str, list[float] | str]:
    """Return for each the seconds of a step in every round, run in turn, or why there are none."""
    taken: dict[str, list[float] | str] = {name: [] for name in runs}
    last = 0.0
    for turn in range(rounds + 1):  # the first one warms up
        if left.left < last:
            break
        begin = time.perf_counter()
        for name, run in runs.items():
            steps = taken[name]
            if isinstance(steps, str):
                continue
            try:
                short, long = (seconds(partial(run, n)) for n in (extent.short, extent.long))
            except torch.OutOfMemoryError:
                taken[name] = FULL
                continue
            if turn:
                steps.append((long - short) / (extent.long - extent.short))
        last = time.perf_counter() - begin
    return {name: steps or SPENT for name, steps in taken.items()}


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
