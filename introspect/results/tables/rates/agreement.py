"""Do the graders agree, with one another and with human labels, and what are the rates once their errors are known?

Goes in: the answered trials of a run, with labels where there are some. Come out: agreement.csv and corrected.csv.

Labels are drawn evenly over cells, which is not how the run is made up. Kappa, sensitivity and specificity against
labels are therefore weighted by how many trials each label stands for, so that they are those of the run; weights and
concepts that trials share make the labels worth fewer (`statistics.sizes`). A rate is corrected by the grader's errors
in its own arm where the labels allow it, else by those pooled over all arms, which takes a grader, blind to the arm, to
err alike in each; a column says which.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations

import pandas as pd

from introspect.protocols import questions_of
from introspect.results.statistics import clustered_rate
from introspect.results.statistics.agreement import Calibration, agreement, calibration, corrected_rate
from introspect.results.statistics.sizes import effective_size
from introspect.results.statistics.strata import GROUP, sampling_weights
from introspect.results.tables.rates.cell_columns import place_columns
from introspect.results.tables.trials.human_labels import HUMAN

_MEASURES = ("detected", "identified", "coherent", "refused", "correct")
"""Verdicts that are yes or no."""
COMPARED = (*_MEASURES, "answer")
AMONG = ["question", "template", "arm"]
"""What is never pooled in a corrected rate."""


def agreement_table(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Compare every two graders, and each with the labels where there are some (`labelled.with_labels`).

    Columns: first, second, measure, n, same, unknown_first, unknown_second, kappa, low, high; with labels also
    sensitivity and specificity of `first`, with their bounds. A measure that one of the two never gives is left out.
    """
    rows = [
        {"first": first, "second": second, "measure": measure, **asdict(agreement(*pair, concepts=asked["concept"]))}
        for first, second in combinations(graders, 2)
        for measure, asked, pair in _pairs(trials, first, second)
    ]
    if f"{HUMAN}_detected" in trials:
        rows += [row for grader in graders for row in _against_labels(trials, grader)]
    return pd.DataFrame(rows)


def corrected_table(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Correct the rates of each arm, and of each cell, by what labels say about the grader (Rogan and Gladen 1978).

    Columns: grader, measure, pooled (`arm` or `cell`), question, template, arm and those of a cell, then k, n, rate
    with its bounds, corrected with its bounds, NaN where the labels do not say what the grader is worth, and
    `errors_of`. Both intervals are those of `independent` trials, as many as the n are worth with several a concept.
    """
    rows = []
    cell = place_columns(trials, without=AMONG)
    for grader in graders:
        for measure, asked, _ in _pairs(trials, grader, HUMAN):
            if measure in _MEASURES:
                found = _calibrations(asked, grader, measure)
                for pooled, keys in (("arm", AMONG), ("cell", [*AMONG, *cell])):
                    about = {"grader": grader, "measure": measure, "pooled": pooled}
                    rows += [{**about, **row} for row in _corrected(asked, keys, f"{grader}_{measure}", found)]
    columns = ["grader", "measure", "pooled", *AMONG, *cell, "k", "n", "independent", *_RATE, "errors_of"]
    return pd.DataFrame(rows, columns=columns)


ENOUGH = 10
"""Labels of yes, or of no, from which on an arm has errors of its own."""
_RATE = ("rate", "low", "high", "corrected", "corrected_low", "corrected_high")


def uncovered(trials: pd.DataFrame) -> list[str]:
    """Name the arms and questions of which no trial is labelled, which the labels say nothing about."""
    labelled = trials.groupby(GROUP)["labelled"].any()
    return [" ".join(group) for group in labelled.index[~labelled]]


def _pairs(
    trials: pd.DataFrame, first: str, second: str
) -> Iterator[tuple[str, pd.DataFrame, tuple[pd.Series, pd.Series]]]:
    """Yield each measure that both graders have, the trials it makes sense for, and their verdicts."""
    for measure in COMPARED:
        asked = trials[_makes_sense(trials, measure)]
        pair = asked[f"{first}_{measure}"], asked[f"{second}_{measure}"]
        if all(side.notna().any() for side in pair):
            yield measure, asked, pair


def _makes_sense(trials: pd.DataFrame, measure: str) -> pd.Series:
    noticing = trials["question"].isin(questions_of("noticing"))
    if measure in ("detected", "identified"):
        return noticing
    if measure == "correct":
        return ~noticing & trials["expected"].notna()
    return ~noticing if measure == "answer" else pd.Series(True, index=trials.index)


def _against_labels(trials: pd.DataFrame, grader: str) -> Iterator[dict[str, object]]:
    for measure, asked, _ in _pairs(trials, grader, HUMAN):
        sheet = asked[asked["labelled"]]
        weights = _weights(asked, measure).reindex(sheet.index)
        pair = sheet[f"{grader}_{measure}"], sheet[f"{HUMAN}_{measure}"]
        found = agreement(*pair, concepts=sheet["concept"], weights=weights)
        row = {"first": grader, "second": HUMAN, "measure": measure, **asdict(found)}
        if measure in _MEASURES:
            by_labels = _calibration(asked, grader, measure)
            for name, values in (("sensitivity", by_labels.sensitivity), ("specificity", by_labels.specificity)):
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
        yield row


def _calibration(asked: pd.DataFrame, grader: str, measure: str) -> Calibration:
    sheet = asked[asked[f"{HUMAN}_{measure}"].notna()]
    pair = sheet[f"{grader}_{measure}"], sheet[f"{HUMAN}_{measure}"]
    return calibration(*pair, concepts=sheet["concept"], weights=_weights(asked, measure))


ALL_ARMS, ITS_ARM = "all arms", "its arm"
"""Whose errors a rate is corrected by."""


def _calibrations(asked: pd.DataFrame, grader: str, measure: str) -> dict[str, tuple[Calibration, str]]:
    """Return for each arm by what its rates are corrected, and whose errors these are.

    An arm has its own sensitivity if it has ENOUGH labels of yes, its own specificity if it has as many of no.
    """
    pooled, found = _calibration(asked, grader, measure), {}
    for arm, part in asked.groupby("arm"):
        labels = part.loc[part[f"{grader}_{measure}"].notna(), f"{HUMAN}_{measure}"]
        hits, rejections = ((labels == side).sum() >= ENOUGH for side in (True, False))
        if not (hits or rejections):
            found[str(arm)] = pooled, ALL_ARMS
            continue
        own = _calibration(part, grader, measure)
        said = f"sensitivity: {ITS_ARM if hits else ALL_ARMS}; specificity: {ITS_ARM if rejections else ALL_ARMS}"
        both = ITS_ARM if hits and rejections else said
        found[str(arm)] = pooled.with_own(own, hits=bool(hits), rejections=bool(rejections)), both
    return found


def _weights(asked: pd.DataFrame, measure: str) -> pd.Series:
    """Say how many of the trials that were asked each label stands for."""
    return sampling_weights(asked, asked[asked[f"{HUMAN}_{measure}"].notna()])


def _corrected(
    asked: pd.DataFrame, keys: list[str], verdict: str, calibrations: dict[str, tuple[Calibration, str]]
) -> Iterator[dict[str, object]]:
    for place, part in asked[asked[verdict].notna()].groupby(keys, dropna=False):
        found, errors_of = calibrations[part["arm"].iloc[0]]
        values = part[verdict].astype(float)
        independent = effective_size(values, part["concept"])
        k = min(float(values.mean()), 1.0) * independent
        freedom = max(part["concept"].nunique() - 1, 1)
        rates = (
            *clustered_rate(part["concept"], values),
            *corrected_rate(k, independent, found, freedom=freedom),
        )
        yield {
            **dict(zip(keys, place, strict=True)),
            **{"k": int(values.sum()), "n": len(values), "independent": independent},
            **dict(zip(_RATE, rates, strict=True)),
            "errors_of": errors_of,
        }
