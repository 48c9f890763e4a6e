"""How large a sweep must be: go in two rates or a pilot run, comes out a table of concepts and trials an arm.

The arms are drawn as independent ones (`statistics.power`), which their pairing by concept makes a little cautious.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.errors import InputError
from introspect.protocols import kind_of, questions_of
from introspect.results.statistics.clustered_rates import Rate, clustered_rate
from introspect.results.statistics.clusters import MIN_CONCEPTS
from introspect.results.statistics.power_simulation import Setting, concepts_needed, intraclass_correlation, power_of
from introspect.results.tables.rates.cell_columns import place_columns

_CONTROLS = ("none", "random", "wrong")
CORRELATIONS = (0.0, 0.1, 0.3)
"""Tried where trials of a concept are repeated and nobody says how alike they are."""
_COLUMNS = ("about", "rate", "control", "icc", "concepts", "repeats", "trials", "power")


@dataclass(frozen=True)
class Wanted:
    """What the comparison should be able to tell."""

    power: float = 0.8
    alpha: float = 0.05
    repeats: int = 1
    """Trials of a concept in each arm and cell."""
    cells: int = 1
    """Cells that are tested; alpha is divided by them."""


def sizes(rate: float, control: float, wanted: Wanted, iccs: Sequence[float] = (), about: str = "") -> pd.DataFrame:
    """Say how many concepts tell two rates apart in one cell, and how many trials an arm has then, a row an `icc`.

    `icc` is the correlation of a concept's repeats; without repeats it does not matter. At least MIN_CONCEPTS are
    asked for, since fewer give no interval over concepts.
    """
    if wanted.repeats < 1:
        raise InputError(f"repeats {wanted.repeats}: must be at least 1")
    tried = (0.0,) if wanted.repeats == 1 else tuple(iccs) or CORRELATIONS
    return pd.DataFrame([_size(rate, control, wanted, icc, about) for icc in tried], columns=_COLUMNS)


def sizes_by_pilot(trials: pd.DataFrame, grader: str, wanted: Wanted, iccs: Sequence[float] = ()) -> pd.DataFrame:
    """Say the same from a pilot's narrow trials: the rate of the injected trials against each control, over all cells.

    A second row a control takes the ends of the two intervals that lie nearer to one another: a pilot is often lucky.
    There concepts are missing where the intervals overlap, since no number is enough then. The correlation of repeats
    is the pilot's own, unless it is given.
    """
    parts = []
    for about, injected, control in _compared(trials, grader):
        own = iccs or _own_icc(pd.concat([injected, control]), wanted.repeats)
        rates = [_rate(side) for side in (injected, control)]
        higher = rates[0][0] >= rates[1][0]
        near = (rates[0][1], rates[1][2]) if higher else (rates[0][2], rates[1][1])
        apart = near[0] > near[1] if higher else near[0] < near[1]
        for name, pair, told in (
            ("as observed", (rates[0][0], rates[1][0]), rates[0][0] != rates[1][0]),
            ("at the near ends of the intervals", near, apart),
        ):
            if told:
                parts.append(sizes(*pair, wanted, own, f"{about}, {name}"))
            else:
                parts.append(pd.DataFrame([(f"{about}, {name}", *pair)], columns=_COLUMNS[:3]))
    if not parts:
        raise InputError("the pilot has no verdict of the arm injected beside one of none, random or wrong")
    return pd.concat(parts, ignore_index=True).reindex(columns=list(_COLUMNS))


def _size(rate: float, control: float, wanted: Wanted, icc: float, about: str) -> tuple[object, ...]:
    alpha, cells, repeats = wanted.alpha, wanted.cells, wanted.repeats
    setting = Setting(rate, control, repeats, icc, alpha, cells)
    concepts = concepts_needed(setting, power=wanted.power, least=MIN_CONCEPTS)
    return about, rate, control, icc, concepts, repeats, concepts * repeats, power_of(setting, concepts)


def _compared(trials: pd.DataFrame, grader: str) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield each measure with the injected trials and those of each control, their verdicts as `value`."""
    done = trials[(trials["state"] == "done") & ~trials["question"].isin(questions_of("plain"))]
    for question in done["question"].unique():
        for measure in ("detected", "identified") if kind_of(question) == "noticing" else ("correct",):
            asked = done[done["question"] == question]
            known = asked.assign(value=asked[f"{grader}_{measure}"]).dropna(subset="value")
            arms = {str(arm): part for arm, part in known.groupby("arm")}
            share = 1 - len(known) / len(asked)
            beside = f" ({share:.0%} of the answers unknown)" if share else ""
            for control in _CONTROLS:
                if "injected" in arms and control in arms:
                    yield f"{question}: {measure}, injected against {control}{beside}", arms["injected"], arms[control]


def _own_icc(both: pd.DataFrame, repeats: int) -> tuple[float, ...]:
    """Estimate the correlation of a concept's repeats inside a cell, which one trial a cell does not need."""
    if repeats == 1:
        return ()
    found = intraclass_correlation(both, "value", by=("arm", *place_columns(both)))
    if np.isnan(found):
        raise InputError(
            "the pilot does not tell how alike a concept's repeats are, since none differ; give --icc, such as 0.1,0.3"
        )
    return (found,)


def _rate(side: pd.DataFrame) -> Rate:
    """Return a rate with its interval."""
    return clustered_rate(side["concept"], side["value"])
