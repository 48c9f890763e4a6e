"""The difference of two runs, with an interval. Takes values or counts by concept, returns a Change.

The concept is the unit. Paired, both runs have the same concepts in the same order, and what makes a concept easy in
both cancels out; unpaired, their concepts are taken as independent.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from introspect.results.statistics.clustered_rates import clustered_rates
from introspect.results.statistics.intervals import mean_interval

_Floats = NDArray[np.float64]


class Bounded(NamedTuple):
    """A value with its 95% interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """Two values and the second minus the first."""

    first: Bounded
    second: Bounded
    difference: Bounded


class TwoCounts(NamedTuple):
    """Yes verdicts `k` among `n` known ones, one element per concept; every `n` is at least 1."""

    k: _Floats
    n: _Floats


def change_of_rates(first: TwoCounts, second: TwoCounts, *, paired: bool) -> Change:
    """Return the difference of two rates by square-and-add limits (Newcombe 1998, methods 10 of both papers).

    The limits of the two rates are joined, with the correlation of the concepts' rates where they are paired. Unlike a
    t interval of differences it has a width where no concept differs, as between two rates of 0.
    """
    a, b = (_bounded(counts) for counts in (first, second))
    r = _correlation(first.k / first.n, second.k / second.n) if paired else 0.0
    difference = b.value - a.value
    below = _joined(b.value - b.low, a.high - a.value, r)
    above = _joined(b.high - b.value, a.value - a.low, r)
    return Change(a, b, Bounded(difference, max(-1.0, difference - below), min(1.0, difference + above)))


def change_of_means(first: _Floats, second: _Floats, *, paired: bool, confidence: float = 0.95) -> Change:
    """Return the difference of two means over concepts: a t interval of differences, or Welch's where unpaired."""
    a, b = (Bounded(*mean_interval(values, confidence=confidence)) for values in (first, second))
    if paired:
        return Change(a, b, Bounded(*mean_interval(second - first, confidence=confidence)))
    difference = b.value - a.value
    if min(len(first), len(second)) < 2:
        return Change(a, b, Bounded(difference, np.nan, np.nan))
    parts = [values.var(ddof=1) / len(values) for values in (first, second)]
    if sum(parts) == 0:
        return Change(a, b, Bounded(difference, difference, difference))
    sizes = (len(first), len(second))
    freedom = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(sum(parts)))
    return Change(a, b, Bounded(difference, difference - half, difference + half))


def _bounded(counts: TwoCounts) -> Bounded:
    k, n = counts
    low, high, _, _ = clustered_rates(k, n)
    return Bounded(float(k.sum() / n.sum()) if len(n) else np.nan, float(low), float(high))


def _correlation(first: _Floats, second: _Floats) -> float:
    """Return Pearson's correlation, 0 where one of the two does not vary."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _joined(first: float, second: float, correlation: float) -> float:
    squares = first**2 + second**2 - 2 * correlation * first * second
    return float(np.sqrt(np.fmax(squares, 0))) if np.isfinite(squares) else np.nan
