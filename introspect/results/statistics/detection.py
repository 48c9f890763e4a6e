"""Signal detection. In go trials that were asked the detection question, out come d', criterion and AUC by cell.

Injected trials are held against each control. Signals are the verdicts "detected", or for the AUC logit(yes) -
logit(no), which needs no threshold. Intervals are over concepts.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from introspect.errors import unknown
from introspect.results.statistics.clusters import RESAMPLES, Estimate, Method, Statistic, Weights, bootstrap
from introspect.results.statistics.contrasts import CELL

Values = NDArray[np.float64]

FEWEST_CONCEPTS = 12
"""Concepts below which d' and criterion are not given. In simulated runs of one trial per concept d' is .3 to .5 too
small on average at 5 concepts and .2 at 12; of four trials, intervals cover .82 at 5,
.87 at 12, .89 and more from 16."""
TOO_FEW_FOR_D_PRIME = f"too few: d' and criterion need {FEWEST_CONCEPTS} concepts"


def detection_table(
    trials: pd.DataFrame,
    *,
    verdict: str = "rules_detected",
    controls: Sequence[str] = ("none", "random"),
    cell: Sequence[str] = CELL,
    method: Method = "bca",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Return dprime, criterion and auc of each cell against each control, with intervals over concepts.

    A control without a site serves every cell, one with a site that cell. Columns: those of the cell, control, measure,
    n (injected trials with a value), n_control, concepts, value, low, high, note (why one of these is missing).
    """
    if verdict not in trials:
        raise unknown("verdict", verdict, [name for name in trials if str(name).endswith("_detected")])
    rows = []
    for place, control, injected, against in _comparisons(trials, list(cell), controls):
        for measure, column in (("dprime", verdict), ("criterion", verdict), ("auc", "difference")):
            signal, noise = injected[injected[column].notna()], against[against[column].notna()]
            sides = [(side["concept"], side[column].to_numpy(dtype=float)) for side in (signal, noise)]
            found = _estimate(measure, *sides, method=method, resamples=resamples, seed=seed)
            counts, note = (len(signal), len(noise), found.concepts), found.note
            if measure != "auc" and 0 < found.concepts < FEWEST_CONCEPTS:
                found, note = Estimate(np.nan, np.nan, np.nan, found.concepts), TOO_FEW_FOR_D_PRIME
            rows.append((*place, control, measure, *counts, found.value, found.low, found.high, note))
    columns = [*cell, "control", "measure", "n", "n_control", "concepts", "value", "low", "high", "note"]
    return pd.DataFrame(rows, columns=columns)


def dprime(hits: Values, signals: Values, alarms: Values, noises: Values) -> Values:
    """Return d' = z(hit rate) - z(false alarm rate) from counts, with the log-linear correction (Hautus 1995)."""
    return np.asarray(_z(hits, signals) - _z(alarms, noises))


def criterion(hits: Values, signals: Values, alarms: Values, noises: Values) -> Values:
    """Return c = -(z(hit rate) + z(false alarm rate)) / 2, above 0 where no is preferred; same correction."""
    return np.asarray(-(_z(hits, signals) + _z(alarms, noises)) / 2)


def auc_statistic(signal: tuple[NDArray[np.int64], Values], noise: tuple[NDArray[np.int64], Values]) -> Statistic:
    """Make the AUC, a function of weights, from the concept's number and the value of each trial.

    AUC = sum w[a] wins[a, b] w[b] / (sum w[a] n[a] * sum w[b] m[b]), with wins[a, b] the pairs of a signal of concept a
    above a noise of concept b, ties half.
    """
    concepts = int(max(each.max(initial=-1) for each, _ in (signal, noise))) + 1
    (places, values), wins = signal, np.zeros((concepts, concepts))
    for concept in range(concepts):
        below = np.sort(noise[1][noise[0] == concept])
        won = np.searchsorted(below, values, "left") + np.searchsorted(below, values, "right")
        wins[:, concept] = np.bincount(places, won / 2, minlength=concepts)
    n, m = (np.bincount(each, minlength=concepts).astype(float) for each, _ in (signal, noise))

    def auc(weights: Weights) -> Values:
        pairs = (weights @ n) * (weights @ m)
        won = np.einsum("da,da->d", weights @ wins, weights)
        return np.asarray(won / np.where(pairs > 0, pairs, np.nan))

    return auc


def _comparisons(
    trials: pd.DataFrame, cell: list[str], controls: Sequence[str]
) -> Iterator[tuple[tuple[object, ...], str, pd.DataFrame, pd.DataFrame]]:
    """Yield cell, control, injected trials and control trials; a control that was not run is left out."""
    arms = {arm: _by_cell(trials[trials["arm"] == arm], cell) for arm in ("injected", *controls)}
    for place, injected in arms["injected"].items():
        for control in (each for each in controls if arms[each]):
            found = [part for key, part in arms[control].items() if _serves(key, place, cell)]
            yield place, control, injected, pd.concat(found) if found else injected.iloc[:0]


def _serves(control: tuple[object, ...], place: tuple[object, ...], cell: list[str]) -> bool:
    """Tell whether a control is one for the cell: of the same place, or without a site and else alike."""
    if control == place:
        return True
    of_site = [number for number, name in zip(control, cell, strict=True) if name in CELL]
    alike = all(mine is None or mine == theirs for mine, theirs in zip(control, place, strict=True))
    return alike and all(number is None for number in of_site)


def _by_cell(trials: pd.DataFrame, cell: list[str]) -> dict[tuple[object, ...], pd.DataFrame]:
    """Split trials by cell, None where a column is missing, since NaN is no key."""
    places = trials[cell].astype(object).where(trials[cell].notna(), None)
    groups = trials.groupby(cell, dropna=False).indices.values() if len(trials) else ()
    return {tuple(places.iloc[rows[0]]): trials.iloc[rows] for rows in groups}


def _estimate(
    measure: str,
    signal: tuple[pd.Series, Values],
    noise: tuple[pd.Series, Values],
    *,
    method: Method,
    resamples: int,
    seed: int,
) -> Estimate:
    numbers, names = pd.factorize(pd.concat([signal[0], noise[0]]))
    if len(signal[1]) == 0 or len(noise[1]) == 0:
        return Estimate(np.nan, np.nan, np.nan, len(names))
    sides = (numbers[: len(signal[1])], signal[1]), (numbers[len(signal[1]) :], noise[1])
    statistic = auc_statistic(*sides) if measure == "auc" else _of_counts(measure, sides, len(names))
    return bootstrap(statistic, len(names), method=method, resamples=resamples, seed=seed)


def _of_counts(measure: str, sides: Sequence[tuple[NDArray[np.int64], Values]], concepts: int) -> Statistic:
    """Make d' or the criterion a function of weights."""
    function = {"dprime": dprime, "criterion": criterion}[measure]
    sums = [np.bincount(places, by, concepts) for places, values in sides for by in (values, np.ones_like(values))]
    return lambda weights: function(*(weights @ each for each in sums))


def _z(k: Values, n: Values) -> Values:
    return np.asarray(norm.ppf((np.asarray(k, dtype=float) + 0.5) / (np.asarray(n, dtype=float) + 1)))
