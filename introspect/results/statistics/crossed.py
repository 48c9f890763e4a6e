"""The mean over wordings and concepts when both are samples, as crossed random effects: a table to an interval.

A wording is a stimulus, as a concept is: another one might have been written. An interval over concepts alone says what
these very wordings do. With W wordings that are all asked about C concepts,

    value = mean + wording + concept + wording x concept,    variance of the mean = (MS_w + MS_c - MS_wc) / (W C)

from the mean squares of the two-way table without repeats (Clark 1973; Baayen, Davidson and Bates 2008), with a t
quantile at Satterthwaite's degrees of freedom. `tests/test_statistics_crossed.py` has its coverage.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEAST_WORDINGS = 3
"""Two wordings have one degree of freedom: an interval that says nothing."""


@dataclass(frozen=True)
class CrossedMean:
    """A mean and its interval over both factors; NaN where there are too few of either."""

    mean: float
    low: float
    high: float
    wordings: int
    concepts: int
    freedom: float
    """Satterthwaite's degrees of freedom."""
    sd_wordings: float
    """Estimated standard deviation of wordings, beyond that of their values over concepts; at least 0."""
    sd_concepts: float


def crossed_mean(values: NDArray[np.float64], *, confidence: float = 0.95) -> CrossedMean:
    """Return the mean of `values`, (wording, concept), over concepts that have a value in every wording.

    The variance is never below what either factor alone would give, since the three mean squares are estimates.
    """
    values = values[:, np.isfinite(values).all(axis=0)]
    wordings, concepts = values.shape
    if wordings < LEAST_WORDINGS or concepts < 2:
        mean = float(values.mean()) if values.size else np.nan
        return CrossedMean(mean, np.nan, np.nan, wordings, concepts, np.nan, np.nan, np.nan)
    mean, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    of_rows, of_columns = concepts * rows.var(ddof=1), wordings * columns.var(ddof=1)
    rest = values - rows[:, None] - columns[None] + mean
    freedoms = wordings - 1, concepts - 1, (wordings - 1) * (concepts - 1)
    within = float((rest**2).sum()) / freedoms[2]
    squares = np.array([of_rows, of_columns, within]) / values.size
    variance = max(squares[0] + squares[1] - squares[2], *squares)
    spread = float((squares**2 / np.array(freedoms)).sum())
    freedom = variance**2 / spread if spread > 0 else float(freedoms[0])
    freedom = float(np.clip(freedom, min(freedoms), max(freedoms[:2])))
    half = np.sqrt(variance) * stats.t.ppf((1 + confidence) / 2, freedom)
    deviations = (np.sqrt(max(0.0, (one - within) / n)) for one, n in ((of_rows, concepts), (of_columns, wordings)))
    return CrossedMean(
        float(mean), float(mean - half), float(mean + half), wordings, concepts, freedom, *map(float, deviations)
    )
