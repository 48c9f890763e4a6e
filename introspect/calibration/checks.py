"""What is known of an organism, and how it is measured on a table of trials.

Goes in: a Truth and a table. Comes out: a Check, which is recovered or not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from introspect.results.statistics import clustered_rate

Select = Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Truth:
    """Something known about an organism, from how it was trained."""

    organism: str
    claim: str
    low: float
    """The rate is at least this ..."""
    high: float
    """... and at most this."""
    select: Select
    """Which trials it is about."""
    measure: str = "detected"
    by: str | None = None
    """Column whose worst value counts; None pools all trials."""


@dataclass(frozen=True)
class Check:
    """A truth, as measured."""

    truth: Truth
    where: str
    """Value of `by` at which it was worst; empty when pooled."""
    k: int
    n: int
    """Answers with a verdict, yes or no."""
    unknown: int
    low: float
    """Lower end of the 95% interval of the rate, NaN without a verdict."""
    high: float

    @property
    def rate(self) -> float:
        """Return k / n, NaN when there is no verdict."""
        return self.k / self.n if self.n else float("nan")

    @property
    def certain(self) -> float:
        """Return the rate that is left when answers without a verdict count as no, NaN when there are none at all."""
        answers = self.n + self.unknown
        return self.k / answers if answers else float("nan")

    @property
    def claim(self) -> str:
        """Say what is known, and where it fits worst."""
        return self.truth.claim + (f" (worst: {self.truth.by} {self.where})" if self.truth.by else "")

    @property
    def known(self) -> str:
        """Say within which bounds the rate is known to be."""
        low, high = self.truth.low, self.truth.high
        if 0 < low and high < 1:
            return f"{low:.0%} to {high:.0%}"
        return f"at least {low:.0%}" if high == 1 else f"at most {high:.0%}"

    @property
    def measured(self) -> str:
        """Say the rate and its interval."""
        return f"{self.rate:.1%} [{self.low:.1%}, {self.high:.1%}]"

    @property
    def counted(self) -> str:
        """Say of how many answers."""
        return f"{self.k}/{self.n}"

    @property
    def recovered(self) -> bool:
        """Tell whether the rate is within its bounds; for a lower bound, answers without a verdict count against it."""
        return self.n > 0 and self.certain >= self.truth.low and self.rate <= self.truth.high

    @property
    def fit(self) -> float:
        """Return how far the rate is inside its bounds, negative outside; minus infinity without a verdict."""
        if not self.n:
            return float("-inf")
        above = self.certain - self.truth.low if self.truth.low > 0 else float("inf")
        below = self.truth.high - self.rate if self.truth.high < 1 else float("inf")
        return min(above, below)


def check(truth: Truth, table: pd.DataFrame) -> Check:
    """Measure one truth on a table of trials; with `by`, where it fits worst."""
    table = table[truth.select(table)]
    if truth.by is None or table.empty:
        return _counted(truth, table, "")
    parts = [_counted(truth, part, str(value)) for value, part in table.groupby(truth.by)]
    return min(parts, key=lambda part: part.fit)


def _counted(truth: Truth, table: pd.DataFrame, where: str) -> Check:
    verdicts = table[f"rules_{truth.measure}"]
    _, low, high = clustered_rate(table["concept"], verdicts)
    return Check(truth, where, int(verdicts.sum()), int(verdicts.count()), int(verdicts.isna().sum()), low, high)
