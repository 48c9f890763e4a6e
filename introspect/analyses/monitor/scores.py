"""Accuracy and F1 of what was said, with intervals over questions. Goes in: truth and verdicts. Come out: estimates.

All scores of one set of items share the same draws, so that the interval of a difference is that of paired values. The
draws know nothing of how probes were split and fitted: `refits.py` has intervals that do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from introspect.results.statistics.clusters import Estimate, Statistic, Weights, expanded
from introspect.results.statistics.intervals import wilson

_Floats = NDArray[np.float64]
SCORE_RESAMPLES = 1000


@dataclass(frozen=True)
class Scoring:
    """Items with their truth, and questions that are drawn with replacement, each with all its items."""

    truth: _Floats
    """`(item,)`: 1 where the answer is right."""
    groups: NDArray[np.int64]
    """`(item,)`: number of the question, from 0."""
    weights: Weights
    """How often each question was drawn, `(draw, question)`."""

    @classmethod
    def of(cls, truth: _Floats, groups: NDArray[np.int64], seed: int = 0) -> "Scoring":
        """Draw the questions."""
        n = int(groups.max()) + 1
        weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=SCORE_RESAMPLES)
        return cls(truth, groups, weights.astype(np.float64))

    def accuracy(self, said: _Floats) -> Estimate:
        """Estimate the share of items of which the truth is said; what says neither yes nor no (NaN) is left out."""
        return self._estimate(self._accuracy(said), ~np.isnan(said), bounded=True)

    def f1(self, said: _Floats) -> Estimate:
        """Estimate 2 TP / (2 TP + FP + FN), right answers being the positive class; what says neither is left out."""
        return self._estimate(self._f1(said), ~np.isnan(said))

    def score(self, measure: str, said: _Floats) -> Estimate:
        """Estimate accuracy, f1 or balanced, as the measure says."""
        return {"accuracy": self.accuracy, "f1": self.f1, "balanced": self.balanced}[measure](said)

    def value(self, measure: str, said: _Floats) -> float:
        """Return what `score` estimates, without an interval."""
        statistic = {"accuracy": self._accuracy, "f1": self._f1, "balanced": self._balanced}[measure](said)
        return float(statistic(np.ones((1, self.weights.shape[1])))[0])

    def balanced(self, said: _Floats) -> Estimate:
        """Estimate the mean of the shares said rightly of both classes: one half for who says the same of all."""
        return self._estimate(self._balanced(said), ~np.isnan(said), bounded=True)

    def _balanced(self, said: _Floats) -> Statistic:
        shares = [self._within(said, truth) for truth in (0.0, 1.0)]
        return lambda weights: (shares[0](weights) + shares[1](weights)) / 2

    def _within(self, said: _Floats, truth: float) -> Statistic:
        inside = (self.truth == truth) & ~np.isnan(said)
        return _ratio(self._sums((inside & (said == truth)).astype(float)), self._sums(inside.astype(float)))

    def _accuracy(self, said: _Floats) -> Statistic:
        right, n = self._sums((said == self.truth).astype(float)), self._sums((~np.isnan(said)).astype(float))
        return _ratio(right, n)

    def _f1(self, said: _Floats) -> Statistic:
        positive, yes, no = self.truth == 1, said == 1, said == 0
        hits = self._sums((positive & yes).astype(float))
        misses = self._sums((positive & no).astype(float) + (~positive & yes))
        return _ratio(2 * hits, 2 * hits + misses)

    def _sums(self, values: _Floats) -> _Floats:
        return np.bincount(self.groups, values, minlength=self.weights.shape[1]).astype(np.float64)

    def _estimate(self, statistic: Statistic, known: NDArray[np.bool_], *, bounded: bool = False) -> Estimate:
        n = len(set(self.groups[known].tolist()))  # questions of which something is known
        if n == 0:
            return Estimate(np.nan, np.nan, np.nan, 0)
        value, drawn = float(statistic(np.ones((1, self.weights.shape[1])))[0]), statistic(self.weights)
        drawn = drawn[~np.isnan(drawn)]
        if n == 1 or len(drawn) == 0 or np.ptp(drawn) == 0:  # draws know nothing; of a share Wilson does
            low, high = wilson(value * n, n) if bounded and not np.isnan(value) else (np.nan, np.nan)
            return Estimate(value, float(low), float(high), n)
        level = expanded(0.95, n)
        low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
        return Estimate(value, float(low), float(high), n)


def over_deals(scored: Sequence[float], questions: int) -> Estimate:
    """Return the mean over deals of the labels, and in place of an interval the lowest and the highest of a deal."""
    return Estimate(float(np.mean(scored)), min(scored), max(scored), questions)


def constant(measure: str, truth: _Floats) -> float:
    """Return the best that always saying the same reaches: the larger class's share, or the F1 of always yes."""
    share = float(truth.mean())
    return {"accuracy": max(share, 1 - share), "f1": 2 * share / (1 + share)}[measure]


def _ratio(above: _Floats, below: _Floats) -> Callable[[Weights], _Floats]:
    def statistic(weights: Weights) -> _Floats:
        counted = weights @ below
        return np.asarray((weights @ above) / np.where(counted > 0, counted, np.nan))

    return statistic
