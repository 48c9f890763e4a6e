"""The studentised bootstrap over concepts, for one cell or a whole map. In go paired differences, out come p values.

Sign flips hold for values that are as likely with the other sign. Where concepts are skewed, as when one in ten is
noticed far more strongly than the others, they find too much, on a map most of all, since some cell has drawn none of
the large ones and so a small spread. Here concepts are drawn with replacement, all cells of a concept at once, and

    t* = (mean of the drawn - mean) / standard error of the drawn

takes the place of t under the null: it has the skewness of the data (Hall 1992, chapter 3; Efron and Tibshirani 1993,
chapter 12). The price is power where concepts are few. `benchmarks/statistics.py` has how often both tests err.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DRAWS = 4999
_CHUNK = 1024
"""Draws made at once; bounds the memory of large maps."""
_ALIKE = 1e-9
"""Share of the mean square below which the drawn values are all alike, so that t* has no bound."""

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Studentised:
    """The test of each cell; NaN where fewer than two concepts have a value, or all have the same."""

    p: _Array
    """Two-sided, of the cell alone."""
    p_map: _Array
    """Two-sided, corrected for having looked at all cells: the largest |t*| of the map."""


def studentised(values: _Array, *, draws: int = _DRAWS, seed: int = 0) -> Studentised:
    """Test whether the means of `values`, (concept, cell), are 0; a missing value is NaN and left out of its cell."""
    observed = np.abs(_t(np.ones((1, len(values))), values, 0.0)[0])
    tested = np.isfinite(observed)
    kept, threshold = values[:, tested], observed[tested]
    means = np.nanmean(kept, axis=0)
    alone, largest = np.ones(len(threshold)), np.ones(len(threshold))  # the data as they are count as a draw
    for weights in _weights(len(kept), draws, seed):
        drawn = np.abs(_t(weights, kept, means))
        alone += (drawn >= threshold).sum(axis=0)
        largest += (drawn.max(axis=1, initial=0)[:, None] >= threshold).sum(axis=0)
    found = np.full((2, values.shape[1]), np.nan)
    found[:, tested] = np.stack([alone, largest]) / (draws + 1)
    return Studentised(*found)


def _weights(concepts: int, draws: int, seed: int) -> Iterator[_Array]:
    """Yield how often each concept is drawn, (draw, concept)."""
    rng = np.random.default_rng(seed)
    for start in range(0, draws if concepts else 0, _CHUNK):
        times = rng.multinomial(concepts, np.full(concepts, 1 / concepts), size=min(_CHUNK, draws - start))
        yield times.astype(float)


def _t(weights: _Array, values: _Array, centre: _Array | float) -> _Array:
    """Return t against `centre` for weights (draw, concept) and values (concept, cell); infinite without a spread."""
    n = weights @ np.isfinite(values)
    away = np.nan_to_num(values - centre)  # around the centre, so that squares lose no digits
    with np.errstate(divide="ignore", invalid="ignore"):
        means, squares = weights @ away / n, weights @ away**2 / n
        spread = squares - means**2
        t = means / np.sqrt(spread / (n - 1))
    return np.where((n >= 2) & (spread > _ALIKE * squares), t, np.inf)
