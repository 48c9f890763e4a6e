"""Intervals for rates and means. In go counts or values, out come bounds; without data they are NaN."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def wilson(
    k: ArrayLike, n: ArrayLike, *, confidence: float = 0.95, freedom: ArrayLike = np.inf
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds of the Wilson score interval for `k` of `n`, element by element; NaN where n is 0.

    It takes trials as independent. With `freedom` its quantile is that of t with so many degrees of freedom, for an
    `n` that is itself estimated (`clustered_rates`).
    """
    k, n = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    assert np.all((k >= 0) & (k <= n)), f"k must lie between 0 and n, got k={k} n={n}"
    # one trial in place of none keeps the formula defined; these cells are masked below
    size = np.where(n > 0, n, 1)
    share, z2 = k / size, stats.t.ppf((1 + confidence) / 2, freedom) ** 2 / size
    centre, half = (share + z2 / 2) / (1 + z2), np.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    empty = n == 0
    # rounding may leave a bound on the wrong side of its rate, as at 0 of n
    low, high = np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


MUCH_UNKNOWN = 0.1
"""A share of unknown answers above which a rate says little without its bounds."""


def unknown_share(n: ArrayLike, unknown: ArrayLike) -> NDArray[np.float64]:
    """Return the share of unknown verdicts among all answers; `n` does not count them. NaN without answers."""
    n, unknown = np.asarray(n, dtype=float), np.asarray(unknown, dtype=float)
    return np.asarray(unknown / np.where(n + unknown > 0, n + unknown, np.nan))


def unknown_bounds(k: ArrayLike, n: ArrayLike, unknown: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rate if every unknown verdict were no, and if every one were yes; `n` does not count the unknown.

    The rate of all answers lies between the two whatever the unknown ones say (Manski's worst-case bounds).
    """
    k, n, unknown = (np.asarray(each, dtype=float) for each in (k, n, unknown))
    assert np.all((k >= 0) & (k <= n) & (unknown >= 0)), f"impossible counts: k={k} n={n} unknown={unknown}"
    answers = np.where(n + unknown > 0, n + unknown, np.nan)
    return k / answers, (k + unknown) / answers


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of independent values and the bounds of its t interval; NaN where there are too few values.

    The values must be independent: with several trials a concept, give one mean a concept.
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return (float(values[0]) if values.size else np.nan), np.nan, np.nan
    mean, half = values.mean(), stats.sem(values) * stats.t.ppf((1 + confidence) / 2, values.size - 1)
    return float(mean), float(mean - half), float(mean + half)
