"""How many trials a question needs. In go two rates, or a pilot run, out come trials per arm.

The rates are compared after the arcsine transform (Cohen's h) with a two-sided normal test; trials of the same concept
resemble one another and count for less, by the design effect.
"""

import math

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from introspect.errors import InputError

FEWEST, MOST = 2.0, 1e18
"""Between these the number of trials is looked for."""


def trials_per_arm(
    rate: float,
    control_rate: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    cells: int = 1,
    per_concept: float = 1,
    icc: float = 0,
) -> int:
    """Say how many trials each arm needs to tell the two rates apart; alpha is divided by the cells (Bonferroni)."""
    effect = _effect(rate, control_rate, power, alpha, cells)
    independent = _independent_trials(effect, power, alpha / cells)
    return math.ceil(independent * design_effect(per_concept, icc))


def power_of(
    rate: float,
    control_rate: float,
    trials: float,
    *,
    alpha: float = 0.05,
    cells: int = 1,
    per_concept: float = 1,
    icc: float = 0,
) -> float:
    """Say how likely that many trials an arm tell the two rates apart."""
    effect = _effect(rate, control_rate, 0.8, alpha, cells)
    independent = effective_trials(trials, per_concept, icc)
    return float(NormalIndPower().power(effect, independent, alpha / cells, alternative="two-sided"))


def design_effect(per_concept: float, icc: float) -> float:
    """Give 1 + (m - 1) * icc for m trials a concept: so many trials count for one independent trial (Kish 1965)."""
    if per_concept < 1:
        raise InputError(f"{per_concept} trials a concept: must be at least 1")
    if not 0 <= icc <= 1:
        raise InputError(f"intra-class correlation {icc}: must lie between 0 and 1")
    return 1 + (per_concept - 1) * icc


def effective_trials(trials: float, per_concept: float, icc: float) -> float:
    """Say how many independent trials they are worth."""
    return trials / design_effect(per_concept, icc)


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


def _independent_trials(effect: float, power: float, alpha: float) -> float:
    """Find the trials an arm that reach the power, at least FEWEST, by bisection: NormalIndPower's own search fails
    where an effect is so large that very few are enough."""

    def missing(trials: float) -> float:
        return float(NormalIndPower().power(effect, trials, alpha, alternative="two-sided")) - power

    return FEWEST if missing(FEWEST) >= 0 else float(brentq(missing, FEWEST, MOST))


def _effect(rate: float, control_rate: float, power: float, alpha: float, cells: int) -> float:
    for name, share in (("rate", rate), ("control rate", control_rate)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} {share}: must lie between 0 and 1")
    if not 0 < alpha < power < 1:
        raise InputError(f"alpha {alpha} and power {power}: must lie between 0 and 1, alpha below power")
    if cells < 1:
        raise InputError(f"{cells} cells: must be at least 1")
    if rate == control_rate:
        raise InputError(f"both rates are {rate}: no number of trials tells them apart")
    return float(proportion_effectsize(rate, control_rate))
