"""Naming the concept. In go what was injected and what was named, out come tests against guessing.

Three nulls: blind choice among N (1/N), the model's own habit as the arm without an injection shows it, and no relation
at all between the concept injected and the concept named. Trials that named nothing readable are missing and counted.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from introspect.results.statistics.clusters import RESAMPLES, Estimate, Weights, bootstrap
from introspect.results.statistics.intervals import wilson

PERMUTATIONS = 1999
TABLES = 100
"""Random tables made at once; bounds the memory."""


@dataclass(frozen=True)
class Naming:
    """How often the right concept was named, against guessing; NaN where there is nothing to count."""

    k: int
    n: int
    unknown: int
    """Trials in which nothing readable was named; not in n."""

    rate: float
    low: float
    high: float
    chance: float
    """1/N."""

    p_chance: float
    habit: float
    """Expected rate if the names came from the arm without an injection."""

    p_habit: float


def naming(injected: pd.Series, named: pd.Series, habit: pd.Series, *, options: int) -> Naming:
    """Hold the names given against 1/`options` and against `habit`, the names given with nothing injected.

    The tests are one-sided exact binomial tests. The expected rate under the habit is the mean, over trials, of how
    often the injected concept is named with nothing injected, (count + 1/N) / (trials + 1), so that a name never seen
    there is rare, not impossible. A sum of unequal chances varies less than the binomial, which errs on the safe side.
    """
    known = named.notna()
    k, n = int((injected[known] == named[known]).sum()), int(known.sum())
    low, high = wilson(k, n)
    chance, habitual = 1 / options, _habitual(injected[known], habit.dropna(), options)
    return Naming(
        *(k, n, int((~known).sum())),
        *(k / n if n else np.nan, float(low), float(high)),
        *(chance, _at_least(k, n, chance)),
        *(habitual, _at_least(k, n, habitual)),
    )


def mutual_information(
    injected: pd.Series, named: pd.Series, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> tuple[float, float, float, int]:
    """Give the mutual information in bits, its mean under permutation, p, and the number of trials.

    The plain estimate is above 0 for unrelated names too, hence the mean beside it. Permuted trials are drawn as
    tables with the same margins. Trials without a name are left out.
    """
    known = named.notna()
    table = pd.crosstab(injected[known], named[known]).to_numpy()
    n = int(known.sum())
    if n == 0:
        return np.nan, np.nan, np.nan, 0
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    margins = float(_log_sum(rows) + _log_sum(columns) - _log_sum(np.array([n])))
    observed = float(_log_sum(table.ravel()))
    null = _null(rows, columns, permutations, seed)
    p = (1 + (null >= observed - 1e-9 * abs(observed)).sum()) / (1 + permutations)
    bits = [max(0.0, float(each - margins) / n) for each in (observed, null.mean())]
    return bits[0], bits[1], float(p), n


def rank_summary(
    concepts: pd.Series, ranks: pd.Series, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Summarise the rank of the concept's token, 0 the most probable: median, share at rank 0, mean reciprocal rank.

    The reciprocal is of rank + 1. Intervals are percentiles over concepts, since a median has no use of BCa.
    """
    known = ranks.notna()
    places, names = pd.factorize(concepts[known], sort=True)
    found, columns = np.unique(ranks[known].to_numpy(dtype=float), return_inverse=True)
    counts = np.zeros((len(names), len(found)))
    np.add.at(counts, (places, columns), 1)
    totals = counts.sum(axis=1)

    def mean_of(values: NDArray[np.float64]) -> Estimate:
        sums = counts @ values
        return bootstrap(
            lambda weights: (weights @ sums) / (weights @ totals), len(names), resamples=resamples, seed=seed
        )

    def median(weights: Weights) -> NDArray[np.float64]:
        up_to = np.cumsum(weights @ counts, axis=1)
        half = up_to[:, -1:] / 2
        return np.asarray((found[(up_to >= half).argmax(axis=1)] + found[(up_to > half).argmax(axis=1)]) / 2)

    return {
        "median_rank": bootstrap(median, len(names), method="percentile", resamples=resamples, seed=seed),
        "first": mean_of((found == 0).astype(float)),
        "reciprocal_rank": mean_of(1 / (found + 1)),
    }


def _habitual(injected: pd.Series, habit: pd.Series, options: int) -> float:
    if len(injected) == 0 or len(habit) == 0:
        return np.nan
    counts = injected.map(habit.value_counts()).fillna(0).astype(float)
    return float(((counts + 1 / options) / (len(habit) + 1)).mean())


def _at_least(k: int, n: int, p: float) -> float:
    return float(stats.binomtest(k, n, p, alternative="greater").pvalue) if n and not np.isnan(p) else np.nan


def _null(rows: NDArray[np.int64], columns: NDArray[np.int64], permutations: int, seed: int) -> NDArray[np.float64]:
    tables, found = stats.random_table(rows, columns, seed=np.random.default_rng(seed)), []
    for start in range(0, permutations, TABLES):
        drawn = tables.rvs(min(TABLES, permutations - start))
        found.append(_log_sum(drawn.reshape(len(drawn), -1)))
    return np.concatenate(found)


def _log_sum(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the sum of n log2 n along the last axis, of which mutual information is made when the margins are fixed."""
    return np.asarray((counts * np.log2(np.maximum(counts, 1))).sum(axis=-1))
