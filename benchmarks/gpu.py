"""On a GPU: a decode step against the floor of memory bandwidth and plain generation, and trials a second.

    python -m benchmarks.gpu [--models 1.4B,2.6B] [--rounds 5] [--minutes 7] [--tiny --device cpu]

Shapes are those of Ouro with random bfloat16 weights, made on the device. A step is the difference between long and
short answers, over the difference in tokens. What no longer fits into the minutes is left out and named. `--tiny`
runs the whole script on a small shape.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
import typer

from benchmarks.baselines import generate
from benchmarks.engines import in_cells, ours
from benchmarks.floors import Bandwidth, bandwidth, step_bytes
from benchmarks.setting import Setting, plain_copy, random_model, random_vectors, setting
from benchmarks.timing import OUT, Budget, Variant, in_turn, ratio, seconds, show, show_machine
from introspect.errors import unknown
from introspect.families.ouro.config import OuroConfig
from introspect.families.placement import device_named

LAYERS = {"1.4B": 24, "2.6B": 48}
"""Layers of the published models, all else being the same: width 2048, 16 heads, 4 loops, 49,152 tokens."""
STEPS_AIM, TRIALS_AIM = 0.6, 5.0


@dataclass(frozen=True)
class Extent:
    """How much is run."""

    rows: tuple[int, ...] = (16, 64, 256)
    short: int = 8
    long: int = 40
    """New tokens of the two answers whose difference is a step; trials have the long one."""
    trials: int = 256
    copied: int = 2**30


Runs = Callable[[int], object]
"""Makes answers of so many tokens."""

TINY = Extent(rows=(2, 4), short=2, long=4, trials=8, copied=2**20)


def main(
    models: str = "1.4B,2.6B", rounds: int = 5, minutes: float = 7.0, *, tiny: bool = False, device: str = "cuda"
) -> None:
    """Measure all shapes and print two tables each."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        sys.stderr.write("benchmarks.gpu: no CUDA device is here; --tiny --device cpu tries the script out\n")
        raise typer.Exit(2)
    where, budget, extent = device_named(device), Budget(60 * minutes), TINY if tiny else Extent()
    speed = bandwidth(where, extent.copied)
    nominal = "unknown" if speed.nominal is None else f"{speed.nominal / 1e9:.0f} GB/s"
    OUT.print(f"memory bandwidth: {speed.measured / 1e9:.0f} GB/s in a copy, nominal {nominal}")
    for name in ["tiny"] if tiny else models.split(","):
        made = _setting(name, device)
        steps(name, made, extent, speed, rounds, budget)
        throughput(name, made, extent, rounds, budget)
        del made
        if where.type == "cuda":
            torch.cuda.empty_cache()
    show_machine(device)


def steps(name: str, made: Setting, extent: Extent, speed: Bandwidth, rounds: int, budget: Budget) -> None:
    """Print the decode step at every number of rows."""
    shown = [_step(made, extent, speed, size, rounds, budget) for size in extent.rows]
    header = ["rows", "ours ms", "floor, copy ms", "floor, nominal ms", "floor / ours"]
    header += ["generate ms", "its floor ms", "generate / ours", "rounds"]
    title = f"{name}: a decode step; aim: the floor at least {STEPS_AIM:.0%} of ours at 64 rows"
    show(title, header, shown)


def throughput(name: str, made: Setting, extent: Extent, rounds: int, budget: Budget) -> None:
    """Print trials a second of ours and of cells with plain hooks."""
    if budget.left < 0:
        OUT.print(f"{name}: trials a second left out, the time is spent")
        return
    trials = made.trials(extent.trials, extent.long)
    n, best = len(trials), max(extent.rows)
    variants = [
        Variant("ours", lambda: ours(made.engine, trials, best), n),
        Variant("b", lambda: in_cells(made, trials), n),
    ]
    taken = in_turn(variants, rounds, budget)
    shown = [
        (f"ours, {best} rows", f"{1 / median(taken['ours']):.2f}", ""),
        ("(b) rows of one cell, plain hooks", f"{1 / median(taken['b']):.2f}", str(ratio(taken["b"], taken["ours"]))),
    ]
    title = f"{name}: {n} trials, {extent.long} new tokens, {len(taken['b'])} rounds; aim: at least {TRIALS_AIM:.0f}"
    show(title, ("variant", "trials/s", "s per trial, over ours (range)"), shown)


def _setting(name: str, device: str) -> Setting:
    if name == "tiny":
        config = OuroConfig(
            hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2, total_ut_steps=2
        )
    elif name in LAYERS:
        config = OuroConfig(num_hidden_layers=LAYERS[name])
    else:
        raise unknown("shape", name, LAYERS)
    looped = random_model(config, device=device, dtype=torch.bfloat16)
    return setting(looped, plain_copy(looped), random_vectors(looped))


def _step(
    made: Setting, extent: Extent, speed: Bandwidth, rows: int, rounds: int, budget: Budget
) -> tuple[object, ...]:
    """Return a line of the table of steps."""
    answers = {n: made.trials(rows, n) for n in (extent.short, extent.long)}
    runs: dict[str, Runs] = {
        "ours": lambda n: made.engine.run(answers[n]),
        "generate": lambda n: generate(made.plain, made.encoded, rows, n),
    }
    taken = _differences(runs, extent, rounds, budget)
    mine, theirs = taken["ours"], taken["generate"]
    written = (extent.short + extent.long) / 2
    read, theirs_read = (step_bytes(made.looped, made.encoded, rows, written, shared=s) for s in (True, False))
    floor = read / speed.measured
    return (
        rows,
        _milliseconds(mine),
        f"{1e3 * floor:.2f}",
        "unknown" if speed.nominal is None else f"{1e3 * read / speed.nominal:.2f}",
        f"{floor / median(mine):.0%}" if isinstance(mine, list) else "",
        _milliseconds(theirs),
        f"{1e3 * theirs_read / speed.measured:.2f}",
        f"{median(theirs) / median(mine):.2f}" if isinstance(mine, list) and isinstance(theirs, list) else "",
        len(mine) if isinstance(mine, list) else 0,
    )


def _differences(runs: Mapping[str, Runs], extent: Extent, rounds: int, budget: Budget) -> dict[str, list[float] | str]:
    """Return for each the seconds of a step in every round, run in turn, or why there are none."""
    taken: dict[str, list[float] | str] = {name: [] for name in runs}
    last = 0.0
    for turn in range(rounds + 1):  # the first one warms up
        if budget.left < last:
            break
        begin = time.perf_counter()
        for name, run in runs.items():
            steps_taken = taken[name]
            if isinstance(steps_taken, str):
                continue
            try:
                short, long = (seconds(partial(run, n)) for n in (extent.short, extent.long))
            except torch.OutOfMemoryError:
                taken[name] = "out of memory"
                continue
            if turn:
                steps_taken.append((long - short) / (extent.long - extent.short))
        last = time.perf_counter() - begin
    return {name: steps_taken or "left out, the time is spent" for name, steps_taken in taken.items()}


def _milliseconds(taken: list[float] | str) -> str:
    return taken if isinstance(taken, str) else f"{1e3 * median(taken):.2f}"


if __name__ == "__main__":
    typer.run(main)
