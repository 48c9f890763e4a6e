"""What unknown answers leave open, in words. In go verdicts, come out rates with bounds, and what they decide.

If every unknown answer were yes the rate of all answers would be at its upper bound, if every one were no at its lower
(Manski): which of two rates is the higher is known only where these bounds do not overlap.
"""

from dataclasses import dataclass

import pandas as pd

from introspect.report.numbers import counted, interval, percent
from introspect.results.statistics import clustered_rate, unknown_bounds


@dataclass(frozen=True)
class VerdictCounts:
    """Verdicts of one question in one arm, counted."""

    k: int
    """That are yes, or right."""
    n: int
    """That are known."""
    unknown: int
    low: float = float("nan")
    """Lower end of the 95% interval of the rate, NaN without a known one."""
    high: float = float("nan")

    @classmethod
    def of(cls, verdicts: pd.Series, concepts: pd.Series) -> "VerdictCounts":
        """Count verdicts, missing where unknown, of trials of these concepts."""
        known = verdicts.dropna().astype(float)
        _, low, high = clustered_rate(concepts, verdicts)
        return cls(int(known.sum()), len(known), len(verdicts) - len(known), low, high)

    @property
    def share(self) -> float:
        """Return the share of unknown answers; NaN without answers."""
        return self.unknown / (self.n + self.unknown) if self.n + self.unknown else float("nan")

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the rate if every unknown answer were no, and if every one were yes."""
        low, high = unknown_bounds(self.k, self.n, self.unknown)
        return float(low), float(high)

    @property
    def said(self) -> str:
        """Write "3 of 10 (30.0%; 95% interval 10.8% to 60.3%, 4 answers unknown, 28.6%)"."""
        beside = f", {counted(self.unknown, 'answer')} unknown, {percent(self.share)}" if self.unknown else ""
        if not self.n:
            return f"no answer that can be read{beside}"
        bounds = interval(self.low, self.high, share=True)
        return f"{self.k} of {self.n} ({percent(self.k / self.n)}; 95% interval {bounds}{beside})"


def between_two(first: VerdictCounts, second: VerdictCounts, names: tuple[str, str]) -> str:
    """Say which way the unknown answers of two arms point, and whether they can turn the comparison; "" without any."""
    if not first.unknown + second.unknown or not (first.n + first.unknown and second.n + second.unknown):
        return ""
    shares = (
        f"{percent(first.share)} of the answers with {names[0]} and {percent(second.share)} of those with {names[1]}"
    )
    (low, high), (other_low, other_high) = first.bounds, second.bounds
    turned = "they can turn which of the two is the higher"
    if low > other_high or high < other_low:
        turned = f"whatever they say, the rate with {names[0]} is the {'higher' if low > other_high else 'lower'} one"
    return (
        f"Unknown are {shares}: if every unknown answer were yes, the rates would be {percent(high)} and "
        f"{percent(other_high)}; if every one were no, {percent(low)} and {percent(other_low)}; {turned}."
    )


def against_chance(found: VerdictCounts, chance: float) -> str:
    """Say which way the unknown answers point where a rate is held against chance; "" without any."""
    if not found.unknown:
        return ""
    low, high = found.bounds
    where = "that is on either side of chance"
    if low > chance or high < chance:
        where = f"that is {'above' if low > chance else 'below'} chance whatever they say"
    return (
        f"{percent(found.share)} of the answers are unknown: if every one were right, the rate would be "
        f"{percent(high)}; if every one were wrong, {percent(low)}; {where}."
    )
