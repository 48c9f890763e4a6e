"""Naming the concept among words on offer. Takes what was injected and what was named, returns tests against guessing.

Three nulls: blind choice among N (1/N), the same choice with nothing injected, and no relation at all between the word
injected and the word named. The words on offer hold the injected one and differ between trials, so that a blind choice
among them follows the injected word around: every null here keeps to what was on offer. Trials that named nothing
readable are missing and counted.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from introspect.results.statistics.clustered_rates import clustered_rate, clustered_rates
from introspect.results.statistics.clusters import RESAMPLES, Estimate, Weights, bootstrap
from introspect.results.statistics.flips import sign_flips

PERMUTATIONS = 1999
SWEEPS = 40
"""How often the names of one permutation are paired at random and exchanged; each time about half may be."""
_TABLES = 100
"""Tables counted at once; bounds the memory."""

_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Naming:
    """How often the right word was named, against guessing; NaN where there is nothing to count."""

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
    """The rate of the same word in the trials with nothing injected that offer the same words."""

    p_habit: float


def naming(injected: pd.Series, named: pd.Series, alone: pd.Series, concepts: pd.Series, *, options: int) -> Naming:
    """Hold the names given against 1/`options` and against `alone`, those of the same trials with nothing injected.

    Each row is a trial; `alone` is missing where its control named nothing readable, and the pair is then in no habit.
    Against chance it is the one-sided binomial test at the number of independent trials, exact with one trial per
    concept: trials of one concept are alike, as a word that is liked is named in all of them. Against the habit it is
    paired: by sign flips over concepts of the difference between the two shares of right names, two-sided, exact if the
    injection changes no choice.
    """
    known = named.notna()
    right, n = (injected == named)[known], int(known.sum())
    rate, low, high = clustered_rate(concepts[known], right.astype(float))
    chance, k = 1 / options, int(right.sum())
    both = known & alone.notna()
    differences = ((injected == named)[both].astype(float) - (injected == alone)[both]).groupby(concepts[both]).mean()
    paired: NDArray[np.float64] = np.asarray(differences, dtype=np.float64)[:, None]
    return Naming(
        *(k, n, int((~known).sum()), rate, low, high, chance),
        _above_chance(right.groupby(concepts[known]).agg(["sum", "size"]).to_numpy(dtype=float), chance),
        float((injected == alone)[both].mean()) if both.any() else np.nan,
        float(sign_flips(paired).p[0]) if len(paired) else np.nan,
    )


def _above_chance(counts: NDArray[np.float64], chance: float) -> float:
    """Return the probability of so many right trials or more by chance, from the right and all of each concept.

    P(X >= k) of Binomial(n, chance) is the regularised incomplete beta function I_chance(k, n - k + 1), which takes the
    k and n of independent trials, whole or not.
    """
    if not len(counts):
        return np.nan
    size = float(clustered_rates(counts[:, 0], counts[:, 1]).independent)
    k = size * counts[:, 0].sum() / counts[:, 1].sum()
    return float(stats.beta.cdf(chance, k, size - k + 1)) if k > 0 else 1.0


def mutual_information(
    injected: pd.Series,
    named: pd.Series,
    offered: pd.Series | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> tuple[float, float, float, int]:
    """Return the mutual information in bits, its mean under permutation, p, and the number of trials.

    The plain estimate is above 0 for unrelated names too, hence the mean beside it. Names are permuted among trials
    that had them on offer, `offered` being the words of each trial; without it every word was. That is exact for any
    chooser with a liking for each word (a choice in proportion to likings among the words on offer), since all such
    permutations are then equally likely. With each word injected once, names cannot tell, and p is 1. Trials without a
    name are left out.
    """
    known = named.notna()
    n = int(known.sum())
    if n == 0:
        return np.nan, np.nan, np.nan, 0
    rows, _ = pd.factorize(injected[known], sort=True)
    columns, words = pd.factorize(named[known], sort=True)
    allowed = np.ones((n, len(words)), dtype=bool)
    if offered is not None:
        allowed = np.array([[word in among for word in words] for among in offered[known]])
    assert allowed[np.arange(n), columns].all(), "a word was named that was not on offer"
    drawn = _permuted(columns, allowed, permutations, np.random.default_rng(seed))
    margins = sum(float(_log_sum(np.bincount(each))) for each in (rows, columns)) - float(_log_sum(np.array([n])))
    sums = _joint_sums(rows, np.concatenate([columns[None], drawn]), len(words))
    observed, null = sums[0], sums[1:]
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


def _permuted(columns: _Numbers, allowed: NDArray[np.bool_], permutations: int, rng: np.random.Generator) -> _Numbers:
    """Permute names among trials that had them on offer, `(permutation, trial)`.

    Each sweep pairs the trials at random and exchanges, by a coin, the names of pairs that may have each other's. All
    permutations come from one that lies as many sweeps behind the names as they lie behind it, so that the names are
    one of equals even where the sweeps are too few to mix (Besag and Clifford 1989, the parallel method).
    """
    pairings = [rng.permutation(len(columns)) for _ in range(SWEEPS)]
    names = columns[None].copy()
    for pairing in reversed(pairings):
        _exchange(names, pairing, allowed, rng)
    names = np.repeat(names, permutations, axis=0)
    for pairing in pairings:
        _exchange(names, pairing, allowed, rng)
    return names


def _exchange(names: _Numbers, pairing: _Numbers, allowed: NDArray[np.bool_], rng: np.random.Generator) -> None:
    half = len(pairing) // 2
    first, second = pairing[:half], pairing[half : 2 * half]
    one, other = names[:, first], names[:, second]
    may = allowed[first, other] & allowed[second, one] & (rng.random(one.shape) < 0.5)
    names[:, first], names[:, second] = np.where(may, other, one), np.where(may, one, other)


def _joint_sums(rows: _Numbers, names: _Numbers, words: int) -> NDArray[np.float64]:
    """Return the sum of n log2 n over the table of injected and named, of each row of names."""
    size, found = (int(rows.max()) + 1) * words, []
    for start in range(0, len(names), _TABLES):
        chunk = rows * words + names[start : start + _TABLES]
        chunk = chunk + size * np.arange(len(chunk))[:, None]
        found.append(_log_sum(np.bincount(chunk.ravel(), minlength=size * len(chunk)).reshape(len(chunk), size)))
    return np.concatenate(found)


def _log_sum(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of n log2 n along the last axis; mutual information is made of it when the margins are fixed."""
    return np.asarray((counts * np.log2(np.maximum(counts, 1))).sum(axis=-1))
