"""Sign-flip permutation by concept, for one cell or a whole map of cells. In go paired differences, out come p values.

If a contrast is nothing but noise, each concept's value is as likely with the other sign (Fisher's randomisation test).
A concept's sign is flipped in all cells at once, so the largest |t| of the map has the right null distribution however
the cells depend on one another (Westfall and Young 1993; Nichols and Holmes 2002).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXACT = 12
"""Up to so many concepts all 2^n flips are made, above them a random sample."""

FLIPS = 9999
_CHUNK = 1024
"""Flips made at once; bounds the memory of large maps."""

TIE = 1e-9
"""Relative difference below which two statistics are the same: the order of a sum changes its last digits."""


@dataclass(frozen=True)
class SignFlips:
    """The test of each cell; NaN where fewer than two concepts have a value."""

    t: NDArray[np.float64]
    """Mean over its standard error."""

    p: NDArray[np.float64]
    """Two-sided, of the cell alone."""

    p_map: NDArray[np.float64]
    """Two-sided, corrected for having looked at all cells."""


def sign_flips(values: NDArray[np.float64], *, flips: int = FLIPS, seed: int = 0) -> SignFlips:
    """Test whether the means of `values`, (concept, cell), are 0; a missing value is NaN and left out of its cell."""
    finite = np.isfinite(values)
    tested = finite.sum(axis=0) >= 2
    kept = values[finite.any(axis=1)][:, tested]
    t = _t(np.ones((1, len(kept))), kept)[0]
    threshold = np.abs(t) * (1 - TIE)
    alone, largest, made = np.zeros(len(t)), np.zeros(len(t)), 0
    for signs in _signs(kept, flips, seed):
        flipped = np.abs(_t(signs, kept))
        alone += (flipped >= threshold).sum(axis=0)
        largest += (flipped.max(axis=1, initial=0)[:, None] >= threshold).sum(axis=0)
        made += len(signs)
    return SignFlips(*(_in_place(found, tested) for found in (t, alone / made, largest / made)))


def _signs(values: NDArray[np.float64], flips: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield all flips of few concepts, or a sample of `flips` and the data as they are (Phipson and Smyth 2010)."""
    concepts = len(values)
    if concepts <= EXACT:
        yield _as_signs(np.arange(2**concepts)[:, None] >> np.arange(concepts) & 1)
        return
    yield np.ones((1, concepts))
    rng = np.random.default_rng(seed)
    for start in range(0, flips, _CHUNK):
        yield _as_signs(rng.integers(0, 2, (min(_CHUNK, flips - start), concepts)))


def _as_signs(bits: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(bits == 1, -1.0, 1.0)


def _t(signs: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return t for signs (flip, concept) and values (concept, cell); squares do not change with the sign."""
    n = np.isfinite(values).sum(axis=0)
    filled = np.nan_to_num(values)
    sums, squares = signs @ filled, (filled**2).sum(axis=0)
    spread = squares - sums**2 / n
    spread = np.where(spread > TIE * squares, spread, 0)  # what rounding leaves where all values are alike
    with np.errstate(divide="ignore", invalid="ignore"):
        t = sums / np.sqrt(spread * n / (n - 1))
    return np.where(sums == 0, 0.0, t)


def _in_place(found: NDArray[np.float64], tested: NDArray[np.bool_]) -> NDArray[np.float64]:
    everywhere = np.full(len(tested), np.nan)
    everywhere[tested] = found
    return everywhere
