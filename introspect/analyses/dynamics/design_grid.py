"""The design study: input re-feed x norm x number of blocks, with random and trained weights, beside what is published.

Goes in: numbers of blocks, seeds, recurrences, steps of training. Comes out: an Analysis.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product

import pandas as pd
import torch
from matplotlib.figure import Figure

from introspect.analyses.analysis import Analysis
from introspect.analyses.dynamics.design import NORMS, TRAINED_LOOPS, Design, Norm, Stack
from introspect.analyses.dynamics.design_figures import designs
from introspect.analyses.dynamics.design_training import STEPS, held_out_loss, texts, train
from introspect.analyses.dynamics.fixed_points import (
    LEAST_LOOPS,
    MOST_LOOPS,
    FixedPointVerdict,
    Settled,
    Settling,
    measure_fixed_points,
)
from introspect.errors import InputError
from introspect.results.figures.layout import figure_of, fitted

_BLOCKS, SEEDS, _ROWS = (4, 8, 12), 3, 4
RECURRENCES = 128
MOST_BLOCKS = 256
"""Of one stack."""
PUBLISHED_VERDICTS: dict[tuple[bool, Norm], FixedPointVerdict] = {
    **{(True, "pre-norm"): "converges", (True, "Huginn's"): "converges", (True, "Ouro's"): "does not"},
    **{(False, "pre-norm"): "degenerate", (False, "Huginn's"): "does not", (False, "Ouro's"): "does not"},
}
"""Random weights, by re-feed and norm: Blayney et al. (2026), section 5, the same for 4 and 16 blocks."""
PUBLISHED_TRAINED: dict[tuple[bool, Norm], FixedPointVerdict] = {
    **{(True, "pre-norm"): "converges", (True, "Huginn's"): "converges", (False, "Ouro's"): "does not"},
}
"""Of the retrofitted Llama, Huginn and Ouro 1.4B, which have these designs: section 4 there."""
LOSSES = ("loss", "loss_at_the_end")
"""Nats per held-out token after TRAINED_LOOPS, and after all recurrences; NaN where nothing was trained."""
PATH = ["loop", "change_relative", "change_cosine", "distance_cosine"]


def design_study(
    blocks: Sequence[int] = _BLOCKS, *, seeds: int = SEEDS, recurrences: int = RECURRENCES, steps: int = STEPS
) -> Analysis:
    """Run every design with so many seeds, and once trained for so many steps.

    Raises InputError for too few recurrences or steps below zero; with no steps nothing is trained.
    """
    check_study(blocks, recurrences, steps)
    parts, rows = [], []
    for refeed, norm, size, (trained, seed) in stacks(blocks, seeds=seeds, steps=steps):
        row, path = _measured(Stack(Design(refeed, norm, size), seed), trained, recurrences)
        about = {"steps": trained, "refeed": refeed, "norm": norm, "blocks": size, "seed": seed}
        published = (PUBLISHED_TRAINED if trained else PUBLISHED_VERDICTS).get((refeed, norm))
        rows.append({**about, **row, "published": published})
        parts.append(path.assign(**about)[[*about, *path]])
    each, paths = pd.DataFrame(rows).sort_values("steps", kind="stable"), pd.concat(parts, ignore_index=True)
    return Analysis(
        name="dynamics-grid",
        title="Which designs come to rest",
        made_with={"blocks": list(blocks), "seeds": seeds, "recurrences": recurrences, "steps": steps, "rows": _ROWS},
        sentences=_sentences(verdicts(each)),
        tables={
            "designs": ("What each stack does, beside what is published", each),
            "verdicts": ("How many seeds and sizes of each design do what, and their mean loss", verdicts(each)),
            "design_paths": ("Change and distance at the last block, by recurrence", paths),
        },
        figures=_figures(paths),
    )


def check_study(blocks: Sequence[int], recurrences: int, steps: int) -> None:
    """Raise InputError for sizes that cannot be run."""
    if steps < 0:
        raise InputError(f"train_steps {steps}: must be at least 0, which trains nothing")
    for name, value, least, most in (
        ("blocks", max(blocks), 1, MOST_BLOCKS),
        ("recurrences", recurrences, LEAST_LOOPS, MOST_LOOPS),
    ):
        if not least <= value <= most:
            raise InputError(f"{name} {value}: must be {least} to {most}")


def stacks(
    blocks: Sequence[int], *, seeds: int = SEEDS, steps: int = STEPS
) -> list[tuple[bool, Norm, int, tuple[int, int]]]:
    """List what is run: re-feed, norm, number of blocks, and steps of training with a seed."""
    weights = [(0, seed) for seed in range(seeds)] + [(steps, 0)] * (steps > 0)
    return list(product((True, False), NORMS, blocks, weights))


def _measured(stack: Stack, steps: int, recurrences: int) -> tuple[dict[str, object], pd.DataFrame]:
    """Train a stack, if it is to be, and give its verdict with what it rests on, and the path of its last block."""
    train(stack, steps)
    found = settled(stack, recurrences)
    losses = {
        name: held_out_loss(stack, n) for name, n in zip(LOSSES, (TRAINED_LOOPS, recurrences), strict=True) if steps
    }
    last = found.layers[found.layers["layer"] == stack.design.blocks - 1]
    row = {"away": found.away, "turn": found.turn, "lowest_cosine": found.lowest, **dict.fromkeys(LOSSES, float("nan"))}
    return {**row, **losses, "verdict": found.verdict}, last[PATH]


def settled(stack: Stack, recurrences: int) -> Settled:
    """Run one stack over a few texts."""
    ids, settling = texts(_ROWS, stack.source), Settling(stack.design.blocks, recurrences)
    show = partial(stack.show, ids, recurrences)
    settling.add(measure_fixed_points(show, torch.ones_like(ids), stack.design.blocks, recurrences))
    return settling.settled()


def verdicts(each: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of each design: `k` of `n` agree with what is published, if anything is."""
    rows = []
    for (steps, refeed, norm), part in each.groupby(["steps", "refeed", "norm"], sort=False):
        counts = {name: int((part["verdict"] == name).sum()) for name in ("converges", "degenerate", "does not")}
        published = part["published"].iloc[0]
        agree = {"published": published, "k": counts.get(published), "n": len(part)}
        rows.append({"steps": steps, "refeed": refeed, "norm": norm, **counts, **agree, **part[[*LOSSES]].mean()})
    return pd.DataFrame(rows).astype({"k": "Int64"})


def _figures(paths: pd.DataFrame) -> dict[str, tuple[str, Figure]]:
    """Draw stacks with random weights and trained ones apart."""
    found = {}
    for trained, part in paths.groupby(paths["steps"] > 0):
        title = f"Angle from the loop before, by design, {'trained' if trained else 'random'} weights"
        found["designs_trained" if trained else "designs"] = title, fitted(figure_of(designs(part)), "design_paths.csv")
    return found


def _sentences(counted: pd.DataFrame) -> tuple[str, ...]:
    said = []
    for row in counted.to_dict("records"):
        design = f"{row['norm']} {'norm ' if row['norm'] != 'pre-norm' else ''}with{'' if row['refeed'] else 'out'}"
        source = "the published model of this design" if row["steps"] else "published"
        weights = f"Trained for {row['steps']} steps" if row["steps"] else "Random weights"
        counts = ", ".join(f"{row[name]} {name}" for name in ("converges", "degenerate", "does not") if row[name])
        published = "" if pd.isna(row["published"]) else f" ({source}: {row['published']})"
        loss = f"; loss {row['loss']:.2f}, at the end {row['loss_at_the_end']:.2f}" if row["steps"] else ""
        said.append(f"{weights}, {design} input re-feed: {counts}, of {row['n']} stacks{published}{loss}.")
    return tuple(said)
