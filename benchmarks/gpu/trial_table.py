"""Trials a second: every engine with all rows side by side, against plain hooks on the rows of one cell."""

from collections.abc import Sequence
from functools import partial
from statistics import median

from benchmarks.engines import in_cells, ours
from benchmarks.gpu.shapes import Extent
from benchmarks.setting import Setting
from benchmarks.timing import OUT, Budget, Variant, in_turn, ratio, show
from introspect.injection.engine.engine import Engine
from introspect.injection.step.engines import EngineName

TRIALS_AIM = 5.0
CELLS = "(b) rows of one cell, plain hooks"


def trial_table(
    name: str, made: Setting, extent: Extent, engines: Sequence[EngineName], rounds: int, left: Budget
) -> list[dict[str, object]]:
    """Print trials a second of a shape and return them; none where the time is spent."""
    if left.left < 0:
        OUT.print(f"{name}: trials a second left out, the time is spent")
        return []
    trials, most = made.trials(extent.trials, extent.long), max(extent.rows)
    run_by = {each: Engine(made.tap, made.engine.prompts, made.vectors, steps=each) for each in engines}
    variants = [Variant(each, partial(ours, engine, trials, most), len(trials)) for each, engine in run_by.items()]
    variants.append(Variant(CELLS, partial(in_cells, made, trials), len(trials)))
    taken = {each: found[1:] for each, found in in_turn(variants, rounds + 1, left).items()}  # the first one captures
    if not taken[CELLS]:
        OUT.print(f"{name}: trials a second left out, the time is spent")
        return []
    rows: list[dict[str, object]] = [
        {"shape": name, "variant": each, "trials/s": 1 / median(found), "(b) over it": str(ratio(taken[CELLS], found))}
        for each, found in taken.items()
    ]
    title = f"{name}: {len(trials)} trials, {extent.long} new tokens, {len(taken[CELLS])} rounds; aim of (b) over it: "
    shown = [(row["variant"], f"{row['trials/s']:.2f}", row["(b) over it"]) for row in rows]
    show(f"{title}at least {TRIALS_AIM:.0f}", ("variant", "trials/s", "(b) over it (range)"), shown)
    return rows
