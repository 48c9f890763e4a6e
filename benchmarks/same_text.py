"""How often rounding changes an answer: the same trials in other company, with tokens drawn in either way.

    python -m benchmarks.same_text [--model organism|wide]
    python -m benchmarks.same_text --model plain|looped --checkpoint path/to/model.gguf --trials 48 --new-tokens 20

Trials are run side by side by one thread, and then alone, in small batches, in another order and by two threads. Prints
how many answers came out otherwise, for the Gumbel-max trick and for an inverse CDF, and what drawing takes in each.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import get_args

import torch
import typer

from benchmarks.engines import Tokens, ours
from benchmarks.setting import named_setting
from benchmarks.timing import OUT, Variant, in_turn, ratio, show, show_machine
from introspect.injection.answers.sampling import draw, random_words
from introspect.injection.engine.engine import Engine
from introspect.records.trial import Draws, Trial

TOGETHER = 32
"""Rows that the others are held against."""
COMPANY = ("alone", "batches of 8", "another order", "two threads")
ROWS = 256
"""Rows of which the drawing is timed."""


def main(model: str = "organism", checkpoint: Path | None = None, trials: int = 48, new_tokens: int = 20) -> None:
    """Run the trials in every company and count."""
    show_machine()
    made = named_setting(model, checkpoint)
    asked = made.trials(trials, new_tokens)
    OUT.print(f"{made.looped.name}: a vocabulary of {made.looped.model.config.vocab_size}, {made.looped.dtype}")
    rows = []
    for kind in get_args(Draws):
        drawn = [replace(trial, sampling=replace(trial.sampling, draws=kind)) for trial in asked]
        rows.append((kind, *(f"{changed} of {trials}" for changed in _changed(made.engine, drawn).values())))
    show("answers that came out otherwise", ("draws", *COMPANY), rows)
    show(f"drawing {ROWS} tokens, medians", ("vocabulary", "gumbel", "inverse-cdf", "gumbel over it (range)"), _times())


def _times() -> list[tuple[str, ...]]:
    """Time both ways in turn over vocabularies of an organism, of SmolLM2 and of larger models."""
    found, seeds, one = [], random_words(range(ROWS), 1)[:, 0], torch.ones(ROWS, dtype=torch.float64)
    for vocabulary in (2099, 49_152, 151_936):
        logits = 3 * torch.randn(ROWS, vocabulary, generator=torch.Generator().manual_seed(0))
        by_cdf = {name: torch.full((ROWS,), name == "inverse-cdf") for name in get_args(Draws)}
        variants = [Variant(name, partial(draw, logits, seeds, one, one, chosen), 1) for name, chosen in by_cdf.items()]
        for variant in variants:
            variant.run()  # to warm up
        gumbel, inverse = in_turn(variants, 7).values()
        medians = [f"{1000 * median(times):.2f} ms" for times in (gumbel, inverse)]
        found.append((str(vocabulary), *medians, str(ratio(gumbel, inverse))))
    return found


def _changed(engine: Engine, trials: Sequence[Trial]) -> dict[str, int]:
    """Count the answers that are not those of TOGETHER rows and one thread, in each COMPANY."""
    usual = _answers(engine, trials, TOGETHER)
    shuffled = random.Random(1).sample(trials, len(trials))
    others = (
        _answers(engine, trials, 1),
        _answers(engine, trials, 8),
        _answers(engine, shuffled, TOGETHER),
        _answers(engine, trials, TOGETHER, threads=2),
    )
    return {
        name: sum(usual[trial.id] != other[trial.id] for trial in trials)
        for name, other in zip(COMPANY, others, strict=True)
    }


def _answers(engine: Engine, trials: Sequence[Trial], rows: int, threads: int = 1) -> dict[str, Tokens]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return dict(zip([trial.id for trial in trials], ours(engine, trials, rows), strict=True))
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    typer.run(main)
