"""How speed changes with batch size, loops, layers, prompt length and cells, and memory against its estimate.

    python -m benchmarks.scaling [--trials 64] [--rounds 5] [--new-tokens 16] [--memory-rows 64,128,256]

One thing is changed at a time from a model of width 128, 4 layers and 4 loops with random weights; the values of one
are run in turn. Memory is that of a fresh process each, beside the weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
import typer

from benchmarks.engines import ours
from benchmarks.memory import in_process_of_its_own
from benchmarks.setting import Setting, plain_copy, random_model, random_vectors, setting, shape
from benchmarks.timing import OUT, Variant, in_turn, ratio, show, show_machine
from introspect.prompts import Encoded

SPAN = 24
ROWS = 32


@dataclass(frozen=True)
class Size:
    """What can be changed; the others stay as they are."""

    rows: int = ROWS
    loops: int = 4
    layers: int = 4
    prompt: int = 130
    cells: int = 4


AXES: dict[str, Sequence[int]] = {
    "rows": (4, 16, 64),
    "loops": (1, 2, 4, 8),
    "layers": (2, 4, 8),
    "prompt": (32, 130, 512),
    "cells": (1, 4, 16),
}


def main(trials: int = 64, rounds: int = 5, new_tokens: int = 16, memory_rows: str = "64,128,256") -> None:
    """Measure everything and print two tables; no memory without `memory_rows`."""
    lines = [row for axis in AXES for row in speed(axis, trials, rounds, new_tokens)]
    columns = ("changed", "value", "trials/s", "s per trial, over the first (range)")
    show(f"{trials} trials, {new_tokens} new tokens, {ROWS} rows, medians of {rounds} rounds", columns, lines)
    sizes = [int(number) for number in memory_rows.split(",") if number]
    if sizes:
        OUT.print()
        shown = [memory(*size) for size in [*((rows, 4, 4, 100) for rows in sizes), (sizes[-1], 2, 8, 50)]]
        header = ("rows", "layers", "loops", "new tokens", "measured MB", "estimated MB", "estimated / measured")
        show("peak memory of one batch", header, shown)
    show_machine()


def speed(axis: str, trials: int, rounds: int, new_tokens: int) -> list[tuple[str, ...]]:
    """Time the values of one axis in turn."""
    sizes = {str(value): Size(**{axis: value}) for value in AXES[axis]}
    variants = [Variant(name, runner(size, trials, new_tokens), trials) for name, size in sizes.items()]
    for variant in variants:
        variant.run()
    taken = in_turn(variants, rounds)
    first = taken[variants[0].name]
    return [(axis, name, f"{1 / median(t):.1f}", str(ratio(t, first))) for name, t in taken.items()]


def runner(size: Size, trials: int, new_tokens: int) -> Callable[[], object]:
    """Make what runs trials of one size."""
    looped = random_model(shape(128, 256, 4, n_layers=size.layers, n_loops=size.loops))
    made = setting(looped, plain_copy(looped), random_vectors(looped), encoded=prompt(size.prompt))
    return running(made, size, trials, new_tokens)


def running(made: Setting, size: Size, trials: int, new_tokens: int) -> Callable[[], object]:
    """Bind the trials to a setting."""
    chosen = made.trials(trials, new_tokens, n_sites=size.cells)
    return lambda: ours(made.engine, chosen, size.rows)


def prompt(tokens: int) -> Encoded:
    """Draw a prompt of so many tokens, the last of which are in the span."""
    ids = torch.randint(3, 2000, (tokens,), generator=torch.Generator().manual_seed(0)).tolist()
    return Encoded("", tuple(ids), tokens - SPAN, None, "")


def memory(rows: int, layers: int, loops: int, new_tokens: int) -> tuple[str, ...]:
    """Measure the memory of one batch."""
    found = in_process_of_its_own(rows, layers, loops, new_tokens)
    share = found["estimated"] / found["measured"]
    megabytes = (f"{found[name] / 1e6:.0f}" for name in ("measured", "estimated"))
    return (str(rows), str(layers), str(loops), str(new_tokens), *megabytes, f"{share:.2f}")


if __name__ == "__main__":
    typer.run(main)
