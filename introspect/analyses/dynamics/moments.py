"""Mean and spread over texts, kept while texts stream by, so that memory does not grow with them.

Goes in: values of some texts at a time, of any shape. Comes out: mean, bounds of the 95% t interval, and n.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor


class Moments:
    """Mean and sum of squared deviations, merged batch by batch (Chan, Golub and LeVeque 1983)."""

    def __init__(self, *shape: int) -> None:
        self.n = 0
        self.mean, self.squares = np.zeros(shape), np.zeros(shape)

    def add(self, values: Tensor) -> None:
        """Take values in, `(text, *shape)`."""
        given: NDArray[np.float64] = values.double().cpu().numpy()
        assert given.shape[1:] == self.mean.shape, (given.shape, self.mean.shape)
        n, mean = len(given), given.mean(0)
        apart, total = mean - self.mean, self.n + n
        self.squares += ((given - mean) ** 2).sum(0) + apart**2 * self.n * n / total
        self.mean += apart * n / total
        self.n = total

    @property
    def half(self) -> NDArray[np.float64]:
        """Return half the width of the interval; NaN for fewer than two texts."""
        if self.n < 2:
            return np.full_like(self.mean, np.nan)
        error = np.sqrt(self.squares / (self.n - 1) / self.n)
        return np.asarray(error * stats.t.ppf(0.975, self.n - 1))

    def columns(self, name: str, at: int | None = None) -> dict[str, NDArray[np.float64]]:
        """Return the columns of a table: the mean and its bounds, of one entry of the last axis or of all, flat."""
        mean, half = (each if at is None else each[..., at] for each in (self.mean, self.half))
        return {name: mean.ravel(), f"{name}_low": (mean - half).ravel(), f"{name}_high": (mean + half).ravel()}

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """Return a table with the columns of each entry of the last axis, in order, and `n`."""
        columns: dict[str, NDArray[np.float64]] = {}
        for at, name in enumerate(names):
            columns |= self.columns(name, at)
        return pd.DataFrame(columns).assign(n=self.n)


def over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    """Average over the tokens of each text, `(row, position)` to `(row,)`, padding left out."""
    kept = mask.bool()
    return values.masked_fill(~kept, 0).sum(-1) / kept.sum(-1)
