"""Differences over concepts, for the headline. In go values by concept, out come means, intervals, sign-flip tests.

The concept is the unit: its trials are averaged first.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.results.statistics import mean_interval
from introspect.results.statistics.flips import sign_flips


@dataclass(frozen=True)
class Difference:
    """A mean over concepts; NaN where there are too few."""

    mean: float
    low: float
    high: float
    p: float
    concepts: int


def difference_over_concepts(values: pd.Series) -> Difference:
    """Test whether the mean of values, one a concept, is 0; missing ones are left out."""
    known = values.dropna().to_numpy(dtype=float)
    if len(known) == 0:
        return Difference(np.nan, np.nan, np.nan, np.nan, 0)
    return Difference(*mean_interval(known), float(sign_flips(known[:, None]).p[0]), len(known))


def between_arms(trials: pd.DataFrame, column: str, first: str, second: str) -> Difference:
    """Return how much higher a column is in one arm than in another, paired by concept."""
    means = [trials[trials["arm"] == arm].groupby("concept")[column].mean() for arm in (first, second)]
    return difference_over_concepts(means[0].sub(means[1]))


def against(trials: pd.DataFrame, column: str, value: float) -> Difference:
    """Return how much higher a column is than a value."""
    return difference_over_concepts(trials.groupby("concept")[column].mean() - value)


def against_balanced(trials: pd.DataFrame, column: str, value: float) -> Difference:
    """Return the same with every right answer counting alike, however often it is the right one.

    Who always answers the same is right in one of N, and not in as many trials as have that right answer. A concept
    without one of the right answers is left out.
    """
    shares = trials.groupby(["concept", "expected"])[column].mean().unstack("expected")
    return difference_over_concepts(shares.mean(axis=1, skipna=False) - value)
