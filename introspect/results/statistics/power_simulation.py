"""How many concepts a question needs. Takes two rates, or a pilot run, returns concepts and power by simulation.

Runs are drawn and given to the test that reports make of two arms: sign flips over concepts of the difference between
a concept's two rates, two-sided. Near 0 a formula for two proportions promises far more than that test can keep.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from introspect.errors import InputError
from introspect.results.statistics.flips import sign_flips

TEST = "sign flips over concepts of the difference between two arms"
_RUNS = 600
"""Simulated runs; a power of .8 is then known to .016, one standard error."""
LARGE, _MOST = 400, 10**9
"""Concepts above which the difference is as good as normal, and that are never passed."""


@dataclass(frozen=True)
class Setting:
    """What is compared, and how strictly."""

    rate: float
    control_rate: float
    repeats: int = 1
    """Trials of a concept in each arm."""
    icc: float = 0.0
    """Correlation of a concept's repeats within an arm."""
    alpha: float = 0.05
    cells: int = 1
    """Cells that are tested; alpha is divided by them (Bonferroni)."""

    def __post_init__(self) -> None:
        """Raise InputError for what cannot be planned."""
        for name, share in (("rate", self.rate), ("control rate", self.control_rate)):
            if not 0 <= share <= 1:
                raise InputError(f"{name} {share}: must lie between 0 and 1")
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha {self.alpha}: must lie between 0 and 1")
        if self.cells < 1:
            raise InputError(f"{self.cells} cells: must be at least 1")
        design_effect(self.repeats, self.icc)

    @property
    def level(self) -> float:
        """Return the p value below which a cell counts."""
        return self.alpha / self.cells

    @property
    def variance(self) -> float:
        """Return the variance of a concept's difference."""
        each = sum(share * (1 - share) for share in (self.rate, self.control_rate))
        return each * design_effect(self.repeats, self.icc) / self.repeats


def power_of(setting: Setting, concepts: int, *, runs: int = _RUNS, seed: int = 0) -> float:
    """Return how often that many concepts tell the two rates apart by TEST; the arms are drawn independently."""
    if concepts > LARGE:
        distance = abs(setting.rate - setting.control_rate) / math.sqrt(setting.variance / concepts)
        return float(norm.cdf(distance - norm.isf(setting.level / 2)))
    if 2.0 ** (1 - concepts) > setting.level:
        return 0.0  # not even all concepts on one side are few enough flips
    rng = np.random.default_rng(seed)
    first, second = (_rates(share, setting, (concepts, runs), rng) for share in (setting.rate, setting.control_rate))
    flips = max(999, math.ceil(20 / setting.level))
    return float((sign_flips(first - second, flips=flips, seed=seed).p <= setting.level).mean())


def concepts_needed(setting: Setting, *, power: float = 0.8, least: int = 2) -> int:
    """Return the fewest concepts, at least `least`, that reach the power, found by doubling and bisection."""
    if not setting.alpha < power < 1:
        raise InputError(f"alpha {setting.alpha} and power {power}: must lie between 0 and 1, alpha below power")
    if setting.rate == setting.control_rate:
        raise InputError(f"both rates are {setting.rate}: no number of trials tells them apart")
    low, high = least - 1, least
    while power_of(setting, high) < power:
        if high > _MOST:
            raise InputError(f"rates {setting.rate} and {setting.control_rate}: more than {_MOST} concepts are needed")
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(setting, middle) >= power else (middle, high)
    return high


def design_effect(per_concept: float, icc: float) -> float:
    """Return 1 + (m - 1) * icc for m trials a concept: so many trials count for one independent trial (Kish 1965)."""
    if per_concept < 1:
        raise InputError(f"{per_concept} trials a concept: must be at least 1")
    if not 0 <= icc <= 1:
        raise InputError(f"intra-class correlation {icc}: must lie between 0 and 1")
    return 1 + (per_concept - 1) * icc


def intraclass_correlation(pilot: pd.DataFrame, value: str, *, by: tuple[str, ...] = ()) -> float:
    """Estimate the correlation of trials of the same concept, from a column of verdicts or values.

    One-way analysis of variance with unequal group sizes (Donner 1986), concepts nested in the groups of `by`, such as
    arm and cell, so that differences between these are not taken for differences between concepts. An estimate
    below 0 is given as 0. NaN without two concepts of which one has two trials, and where nothing varies.
    """
    known = pilot[pilot[value].notna()].reset_index(drop=True)
    values = known[value].astype(float)
    strata = known.groupby(list(by), dropna=False).ngroup() if by else pd.Series(0, index=known.index)
    groups = values.groupby([strata, known["concept"].astype(str)])
    sizes, means = groups.size(), groups.mean()
    total, centres = sizes.groupby(level=0).sum(), values.groupby(strata).mean()
    df_between, df_within = len(sizes) - len(total), len(values) - len(sizes)
    if df_between < 1 or df_within < 1:
        return np.nan
    distances = means - centres.reindex(means.index.get_level_values(0)).to_numpy()
    between = float((sizes * distances**2).sum()) / df_between
    within = float(((values - groups.transform("mean")) ** 2).sum()) / df_within
    size = (len(values) - float(((sizes**2).groupby(level=0).sum() / total).sum())) / df_between
    spread = between + (size - 1) * within
    return max(0.0, (between - within) / spread) if spread > 0 else np.nan


def _rates(share: float, setting: Setting, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the rates of concepts whose repeats correlate by icc: beta-binomial, `shape`."""
    if setting.icc == 0 or setting.repeats == 1 or share in (0, 1):
        own = np.full(shape, share)
    elif setting.icc == 1:
        own = (rng.random(shape) < share).astype(float)
    else:
        own = rng.beta(share * (1 / setting.icc - 1), (1 - share) * (1 / setting.icc - 1), shape)
    return np.asarray(rng.binomial(setting.repeats, own) / setting.repeats)
