"""Rates whose trials resemble one another within a concept. Takes counts per concept, returns intervals that know it.

Wilson's interval takes trials as independent, which those of one concept are not: at 12 trials per concept and a
correlation of .5 it covers the rate half as often as it says. Here it is taken at the number of independent trials that
the trials are worth,

    independent = n / (1 + (m - 1) * icc),    m = sum(n_g^2) / n over concepts g    (Kish 1965)

with a t quantile of concepts - 1 degrees of freedom, since icc is estimated.
`tests/test_statistics_clustered_rates.py` has its coverage.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from introspect.results.statistics.intervals import wilson

_Floats = NDArray[np.float64]

_PRIOR = 0.5
"""How many concepts' worth of evidence stands for a correlation of 1, beside that of the concepts that differ."""


class ClusteredRates(NamedTuple):
    """Bounds of rates, and what they rest on; NaN where nothing is counted."""

    low: _Floats
    high: _Floats
    independent: _Floats
    """Effective number of independent trials."""
    concepts: NDArray[np.int64]
    """Concepts with a verdict."""


class Rate(NamedTuple):
    """One rate with its interval; NaN where nothing is counted."""

    value: float
    low: float
    high: float


def clustered_rates(k: ArrayLike, n: ArrayLike, *, confidence: float = 0.95) -> ClusteredRates:
    """Return the bounds of rates, `(...)`, from verdicts that are yes and known, `(..., concept)` each.

    A concept with n of 0 is not there. There is an interval wherever there is a verdict, of one concept too: it is then
    worth one trial, at one degree of freedom.
    """
    k, n = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    total, concepts = n.sum(axis=-1), (n > 0).sum(axis=-1)
    safe = np.where(total > 0, total, 1)
    independent = total / (1 + ((n**2).sum(axis=-1) / safe - 1) * within_concepts(k, n))
    share = np.clip(k.sum(axis=-1) / safe, 0, 1)
    low, high = wilson(share * independent, independent, confidence=confidence, freedom=np.maximum(concepts - 1, 1))
    return ClusteredRates(low, high, np.where(total > 0, independent, np.nan), concepts)


def clustered_rate(concepts: pd.Series, verdicts: pd.Series, *, confidence: float = 0.95) -> Rate:
    """Return the rate of yes among verdicts, one per trial, with its interval; what is missing is left out."""
    known = verdicts.notna()
    by_concept = verdicts[known].astype(float).groupby(concepts[known])
    k, n = by_concept.sum().to_numpy(), by_concept.size().to_numpy(dtype=float)
    low, high, _, _ = clustered_rates(k, n, confidence=confidence)
    return Rate(float(k.sum() / n.sum()) if len(n) else np.nan, float(low), float(high))


def within_concepts(k: ArrayLike, n: ArrayLike) -> _Floats:
    """Estimate the correlation of verdicts within a concept, `(...)`, from counts `(..., concept)`.

    Analysis of variance with unequal sizes (Donner 1986), between 0 and 1. Its estimate is too small where few concepts
    differ from the others, so it is averaged with a correlation of 1: the estimate counts for as many concepts as hold
    the rarer verdict, the 1 for _PRIOR. Where nothing varies it is 1 alone, and all trials of a concept count as one.
    Where no concept has two verdicts nothing is shared, and it is 0.
    """
    k, n = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    total, concepts = n.sum(axis=-1), (n > 0).sum(axis=-1)
    size, centre = np.where(n > 0, n, 1), (k.sum(axis=-1) / np.maximum(total, 1))[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (n * (k / size - centre) ** 2).sum(axis=-1) / (concepts - 1)
        within = (k * (1 - k / size)).sum(axis=-1) / (total - concepts)
        typical = (total - (n**2).sum(axis=-1) / total) / (concepts - 1)
        found = np.clip((between - within) / (between + (typical - 1) * within), 0, 1)
    telling = np.minimum((k > 0).sum(axis=-1), ((k < n) & (n > 0)).sum(axis=-1))
    known = np.isfinite(found) & (telling > 0)
    averaged = (telling * np.where(known, found, 0) + _PRIOR) / (telling + _PRIOR)
    return np.where(total <= concepts, 0.0, np.where(known, averaged, 1.0))
