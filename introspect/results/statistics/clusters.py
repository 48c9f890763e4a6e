"""The bootstrap over concepts. In goes a statistic, out comes an estimate whose interval respects the clusters.

Concepts are drawn with replacement and each brings all its rows, trials and controls alike. A statistic is given the
weight of each concept, how often it was drawn, so that sums per concept are made once and thousands of draws are one
product of matrices.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

MIN_CONCEPTS = 5
"""Fewer concepts have too few different draws for a 95% interval."""

RESAMPLES = 2000

Weights = NDArray[np.float64]
"""How often each concept was drawn, (draw, concept)."""

Statistic = Callable[[Weights], NDArray[np.float64]]
"""From weights to one value a draw, NaN where it is undefined."""

Method = Literal["percentile", "bca"]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; the bounds are NaN where the data cannot give any."""

    value: float
    low: float
    high: float
    concepts: int
    """How many concepts it rests on."""

    @property
    def note(self) -> str | None:
        """Say why there is no value or no interval; None where there are both."""
        if np.isnan(self.value):
            return NO_VALUE
        if not np.isnan(self.low):
            return None
        return TOO_FEW if self.concepts < MIN_CONCEPTS else ALL_AGREE


NO_VALUE = "no value: nothing to count"
TOO_FEW = f"no interval over concepts: fewer than {MIN_CONCEPTS}"
ALL_AGREE = "no interval over concepts: no draw of them changes the value"
"""What is noted where an estimate has no value, or no interval."""


def bootstrap(
    statistic: Statistic,
    concepts: int,
    *,
    method: Method = "bca",
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Estimate a statistic of weights, with an interval over that many concepts.

    Both methods use expanded percentiles (Hesterberg 2015, section 4.4), without which few concepts give intervals
    that are too narrow. The bounds are NaN with fewer than MIN_CONCEPTS; where no draw changes the value, as in a rate
    of 0, since the draws know nothing then, and a Wilson interval does; and where no draw has a value. A draw without
    one is left out; without any concept the value is NaN as well.
    """
    if concepts == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = float(statistic(np.ones((1, concepts)))[0])
    if concepts < MIN_CONCEPTS:
        return Estimate(value, np.nan, np.nan, concepts)
    level = expanded(confidence, concepts)
    with warnings.catch_warnings():  # draws without a value are minded below
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (np.arange(concepts),),
            lambda drawn, axis: _on_draws(statistic, drawn, axis, concepts),
            n_resamples=resamples,
            confidence_level=level,
            method="BCa" if method == "bca" and _varies(statistic, concepts) else "percentile",
            rng=np.random.default_rng(seed),
        )
    defined = found.bootstrap_distribution[np.isfinite(found.bootstrap_distribution)]
    if len(defined) == 0 or np.ptp(defined) == 0:
        return Estimate(value, np.nan, np.nan, concepts)
    low, high = found.confidence_interval
    if len(defined) < resamples:
        low, high = np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, float(low), float(high), concepts)


def expanded(confidence: float, concepts: int) -> float:
    """Return the level at which percentiles of so few concepts cover like the t interval of a mean."""
    widest = np.sqrt(concepts / (concepts - 1)) * stats.t.ppf((1 + confidence) / 2, concepts - 1)
    return float(2 * stats.norm.cdf(widest) - 1)


def rate(
    concepts: pd.Series,
    verdicts: pd.Series,
    *,
    method: Method = "bca",
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Estimate the mean of verdicts or values, one a trial; what is missing is left out."""
    known = verdicts.notna()
    by_concept = verdicts[known].astype(float).groupby(concepts[known])
    sums, counts = by_concept.sum().to_numpy(), by_concept.size().to_numpy(dtype=float)
    return bootstrap(
        lambda weights: (weights @ sums) / (weights @ counts),
        len(sums),
        method=method,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def bootstrap_frame(
    frame: pd.DataFrame,
    statistic: Callable[[pd.DataFrame], float],
    *,
    method: Method = "bca",
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Estimate any statistic of a frame with a column `concept`; a frame is made for every draw, which is slow."""
    rows = list(frame.groupby("concept").indices.values())

    def drawn(weights: Weights) -> NDArray[np.float64]:
        times = weights.astype(int)
        taken = [np.concatenate([rows[concept] for concept in np.repeat(np.arange(len(rows)), row)]) for row in times]
        return np.array([statistic(frame.take(each)) for each in taken])

    return bootstrap(drawn, len(rows), method=method, confidence=confidence, resamples=resamples, seed=seed)


def _varies(statistic: Statistic, concepts: int) -> bool:
    """Say whether leaving single concepts out changes the value, which the acceleration of BCa is made of."""
    left_out = statistic(1 - np.eye(concepts))
    return bool(np.isfinite(left_out).all() and np.ptp(left_out) > 0)


def _on_draws(statistic: Statistic, drawn: NDArray[np.int64], axis: int, concepts: int) -> NDArray[np.float64]:
    """Turn drawn concepts into weights, (..., draw, n) to (draw, concept)."""
    draws = np.moveaxis(drawn, axis, -1).reshape(-1, drawn.shape[axis])
    offsets = concepts * np.arange(len(draws))[:, None]
    counts = np.bincount((draws + offsets).ravel(), minlength=concepts * len(draws))
    values = statistic(counts.reshape(len(draws), concepts).astype(float))
    return values.reshape(np.moveaxis(drawn, axis, -1).shape[:-1])
