"""Effects of an organism over all cells, taken from the tables in which a reader finds them.

Goes in: narrow trials of the loops in question. Comes out: a mean over concepts with its interval. Each raises
InputError where an arm or a question is missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.results.statistics.contrasts import concept_effects, overall_contrasts
from introspect.results.tables.effects.against import against_table
from introspect.results.tables.effects.compression import PAIRED_BY, compression_table
from introspect.results.tables.effects.third_person_effects import third_person_table
from introspect.results.tables.rates.capability import capability_table


@dataclass(frozen=True)
class Measured:
    """A mean and its 95% interval; NaN where no concept has all parts."""

    mean: float
    low: float
    high: float
    n: int
    """Concepts; for the mass on yes and no, plain questions."""
    unknown: int = 0
    """Concepts that lack a part."""


EffectMeasure = Callable[[pd.DataFrame], Measured]


def primary_contrast(trials: pd.DataFrame) -> Measured:
    """Measure the primary contrast, in logits."""
    effects = concept_effects(trials[trials["arm"].ne("wrong")], pairs=PAIRED_BY)
    effects = effects[effects["loop"].notna()]
    if effects.empty:
        return Measured(np.nan, np.nan, np.nan, 0)
    table = overall_contrasts(effects)
    return _first(table[table["effect"] == "contrast"])


def beyond_text(trials: pd.DataFrame) -> Measured:
    """Measure the effect of the vector less that of the concept written into the prompt, in logits."""
    table = against_table(trials)
    return _first(table[(table["control"] == "text") & (table["effect"] == "difference")])


def beyond_another(trials: pd.DataFrame) -> Measured:
    """Measure the contrast of the question about oneself less that of its twin about another model, in logits."""
    table = third_person_table(trials, ["rules"])
    return _first(table[(table["measure"] == "contrast") & (table["effect"] == "excess")])


def plain_slope(trials: pd.DataFrame) -> Measured:
    """Measure what the concept's vector adds to each logit of a plain question: 0 nothing, -1 all of it is lost."""
    table = compression_table(trials)
    return _first(table[(table["measure"] == "slope") & (table["arm"] == "injected")])


def plain_mass(trials: pd.DataFrame) -> Measured:
    """Measure the probability on yes and no where answers to plain questions begin, by which the gate judges."""
    table = capability_table(trials, "rules").set_index("answers")
    return _measured(table.loc[["yes or no"]], ["mass", "mass_low", "mass_high", "questions"])


def _first(table: pd.DataFrame) -> Measured:
    """Take the first row, which is over all cells."""
    columns = ["mean", "low", "high", "n", "dropped"]
    return _measured(table, [name for name in columns if name in table])


def _measured(table: pd.DataFrame, columns: Sequence[str]) -> Measured:
    """Take mean, low, high, n and, where it is counted, what is unknown from the first row."""
    mean, low, high, *counts = table[columns].head(1).to_numpy(dtype=float)[0].tolist()
    return Measured(mean, low, high, *map(int, counts))
