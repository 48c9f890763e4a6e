"""The difference of two runs, with an interval. Takes values or counts by concept, returns a Change.

The concept is the unit. Paired, both runs have the same concepts in the same order, and what makes a concept easy in
both cancels out; unpaired, their concepts are taken as independent.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from introspect.results.statistics.intervals import mean_interval
from introspect.results.statistics.power import design_effect

Floats = NDArray[np.float64]


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


class Counts(NamedTuple):
    """Yes verdicts `k` among `n` known ones, one element per concept; every `n` is at least 1."""

    k: Floats
    n: Floats


def clustered_rate(counts: Counts, *, confidence: float = 0.95) -> Bounded:
    """Return the rate with a Wilson interval at the effective number of trials, by a t quantile over concepts.

    The effective number divides by the design effect 1 + (m - 1) * icc (Kish 1965). Where nothing varies the
    correlation is unknown, and all trials of a concept count as one. NaN bounds with fewer than two concepts.
    """
    k, n = counts
    if not len(n):
        return Bounded(np.nan, np.nan, np.nan)
    p = float(k.sum() / n.sum())
    if len(n) < 2:
        return Bounded(p, np.nan, np.nan)
    size = float(n.sum()) / design_effect(float((n**2).sum() / n.sum()), _correlation_within(counts))
    t = stats.t.ppf((1 + confidence) / 2, len(n) - 1)
    spread = 1 + t**2 / size
    centre = (p + t**2 / (2 * size)) / spread
    half = t / spread * np.sqrt(p * (1 - p) / size + t**2 / (4 * size**2))
    return Bounded(p, float(max(0, centre - half)), float(min(1, centre + half)))


def change_of_rates(first: Counts, second: Counts, *, paired: bool) -> Change:
    """Return the difference of two rates by square-and-add limits (Newcombe 1998, methods 10 of both papers).

    The limits of the two rates are joined, with the correlation of the concepts' rates where they are paired. Unlike a
    t interval of differences it has a width where no concept differs, as between two rates of 0.
    """
    a, b = clustered_rate(first), clustered_rate(second)
    r = _correlation(first.k / first.n, second.k / second.n) if paired else 0.0
    difference = b.value - a.value
    below = _joined(b.value - b.low, a.high - a.value, r)
    above = _joined(b.high - b.value, a.value - a.low, r)
    return Change(a, b, Bounded(difference, max(-1.0, difference - below), min(1.0, difference + above)))


def change_of_means(first: Floats, second: Floats, *, paired: bool, confidence: float = 0.95) -> Change:
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


def _correlation_within(counts: Counts) -> float:
    """Estimate the correlation of verdicts of one concept by analysis of variance (Donner 1986); 1 if unknown."""
    k, n = counts
    total, p = float(n.sum()), float(k.sum() / n.sum())
    if p in (0, 1):
        return 1.0
    if total == len(n):  # one verdict per concept: nothing is shared
        return 0.0
    between = float((n * (k / n - p) ** 2).sum()) / (len(n) - 1)
    within = float((k * (1 - k / n)).sum()) / (total - len(n))
    size = (total - float((n**2).sum()) / total) / (len(n) - 1)
    return min(1.0, max(0.0, (between - within) / (between + (size - 1) * within)))


def _correlation(first: Floats, second: Floats) -> float:
    """Return Pearson's correlation, 0 where one of the two does not vary."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _joined(first: float, second: float, correlation: float) -> float:
    squares = first**2 + second**2 - 2 * correlation * first * second
    return float(np.sqrt(np.fmax(squares, 0))) if np.isfinite(squares) else np.nan
