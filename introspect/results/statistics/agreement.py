"""Agreement of two graders, and rates corrected for what one of them gets wrong. In go verdicts of the same trials.

A verdict that either grader did not give is in no figure and is counted apart. Given the trials' concepts and sampling
weights, shares are weighted and intervals are those of as many independent trials as the sample is worth.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from introspect.results.statistics.intervals import wilson
from introspect.results.statistics.sizes import effective_size

DRAWS, AT_ONCE = 4000, 500
FEW = 8
"""With more categories than these, most pairs of them never occur."""


@dataclass(frozen=True)
class Agreement:
    """Two graders on the trials for which both gave a verdict; NaN where it is undefined."""

    n: int
    same: int
    unknown_first: int
    """Trials without a verdict of the first grader, whatever the second says."""

    unknown_second: int
    kappa: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """A grader against the truth, say human labels, as counts; the rates are NaN where nothing was counted."""

    hits: float
    yes: float
    """Trials that are truly yes, of which the grader calls `hits` yes; as many as the labels are worth."""

    rejections: float
    no: float
    """Trials that are truly no, of which the grader calls `rejections` no."""

    unknown: int
    """Trials without a verdict or without a label; in no count."""

    @property
    def sensitivity(self) -> tuple[float, float, float]:
        """Give the rate of yes among true yes, with its Wilson interval."""
        return _rate(self.hits, self.yes)

    @property
    def specificity(self) -> tuple[float, float, float]:
        """Give the rate of no among true no, with its Wilson interval."""
        return _rate(self.rejections, self.no)


def agreement(
    first: pd.Series,
    second: pd.Series,
    *,
    concepts: pd.Series | None = None,
    weights: pd.Series | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """Give Cohen's kappa of two graders' verdicts, or answers, on the same trials, row by row.

    The interval is that of kappa under tables drawn from Dirichlet(counts + 1 / cells), since the usual standard error
    is 0 where the graders never disagree. Kappa is undefined where both give one and the same verdict throughout.
    `n` and `same` count trials as they are.
    """
    one, other, about, shares = _where_both(first, second, concepts, weights)
    counts, weighted = _cross(one, other), _cross(one, other, shares)
    same = pd.Series(one.to_numpy() == other.to_numpy())
    kappa, low, high = np.nan, np.nan, np.nan
    if len(counts) and max(np.diag(counts)) < counts.sum():
        kappa = float(cohens_kappa(weighted, return_results=False))
        sized = weighted / weighted.sum() * effective_size(same, about, shares)
        drawn = _drawn_kappas(sized, np.random.default_rng(seed))
        low, high = (float(each) for each in np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2]))
    unknown = int(first.isna().sum()), int(second.isna().sum())
    return Agreement(int(counts.sum()), int(np.trace(counts)), *unknown, kappa, low, high)


def calibration(
    verdicts: pd.Series, labels: pd.Series, *, concepts: pd.Series | None = None, weights: pd.Series | None = None
) -> Calibration:
    """Count a grader's verdicts against labels taken as the truth, row by row."""
    truth, given, about, shares = _where_both(labels, verdicts, concepts, weights)
    truth, right = truth.astype(bool), truth.astype(bool) == given.astype(bool)
    yes, no = (_counted(right, side, about, shares) for side in (truth, ~truth))
    return Calibration(*yes, *no, unknown=len(labels) - len(truth))


def corrected_rate(k: float, n: float, grader: Calibration, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Give the true rate behind `k` of `n` graded yes, with an interval that carries the calibration's uncertainty.

    (rate + specificity - 1) / (sensitivity + specificity - 1) (Rogan and Gladen 1978) with the interval of Lang and
    Reiczigel (2014), both clipped to 0 and 1. NaN where there is no calibration, and where the grader is no better than
    a coin: then it tells nothing about the rate. For trials of few concepts give counts divided by the design effect.
    """
    if min(n, grader.yes, grader.no) == 0:
        return np.nan, np.nan, np.nan
    z = stats.norm.ppf((1 + confidence) / 2)
    sizes = n + z**2, grader.yes + 2, grader.no + 2
    rate, se, sp = (k + z**2 / 2) / sizes[0], (grader.hits + 1) / sizes[1], (grader.rejections + 1) / sizes[2]
    value, centre = _corrected(k / n, grader.sensitivity[0], grader.specificity[0]), _corrected(rate, se, sp)
    if np.isnan(value) or np.isnan(centre):
        return np.nan, np.nan, np.nan
    from_se, from_sp = se * (1 - se) / sizes[1], sp * (1 - sp) / sizes[2]
    spread = rate * (1 - rate) / sizes[0] + centre**2 * from_se + (1 - centre) ** 2 * from_sp
    half = z * np.sqrt(spread) / (se + sp - 1)
    middle = centre + 2 * z**2 * (centre * from_se - (1 - centre) * from_sp)
    low, high = np.clip([middle - half, middle + half], 0, 1)
    return float(np.clip(value, 0, 1)), float(low), float(high)


def _where_both(
    first: pd.Series, second: pd.Series, *beside: pd.Series | None
) -> tuple[pd.Series, pd.Series, pd.Series | None, pd.Series | None]:
    """Give the rows for which both graders have a verdict, with what belongs to them."""
    assert len(first) == len(second), f"{len(first)} verdicts against {len(second)}"
    both = first.notna().to_numpy() & second.notna().to_numpy()
    about, shares = (None if each is None else each[both].reset_index(drop=True) for each in beside)
    return first[both].reset_index(drop=True), second[both].reset_index(drop=True), about, shares


def _counted(
    right: pd.Series, side: pd.Series, concepts: pd.Series | None, weights: pd.Series | None
) -> tuple[float, float]:
    """Count the verdicts that are right on one side of the truth, and all, in independent trials."""
    if not side.any():
        return 0.0, 0.0
    about, shares = (None if each is None else each[side] for each in (concepts, weights))
    size = effective_size(right[side], about, shares)
    return min(float(np.average(right[side], weights=shares)), 1.0) * size, size


def _cross(first: pd.Series, second: pd.Series, weights: pd.Series | None = None) -> NDArray[np.float64]:
    """Count verdicts, no before yes, the first grader's in rows; answers by name."""
    yes_no = first.dtype != "str" and second.dtype != "str"
    categories = [False, True] if yes_no else sorted({*first, *second})
    rows, columns = (pd.Categorical(each, categories=categories).codes.astype(int) for each in (first, second))
    assert not len(rows) or min(rows.min(), columns.min()) >= 0, f"verdicts beside {categories}"
    size = len(categories)
    return np.bincount(size * rows + columns, weights, minlength=size * size).astype(float).reshape(size, size)


def _drawn_kappas(sized: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw tables of shares from Dirichlet(counts + 1 / cells) and give their kappas.

    With many categories the pairs that never occur are drawn as two, those on the diagonal and those off it; what
    these add to the agreement expected by chance is left out, at most one trial's worth.
    """
    kept = np.ones(sized.shape, dtype=bool) if len(sized) <= FEW else sized > 0
    rows, columns = np.nonzero(kept)
    rest = np.array(
        [(~kept & side).sum() for side in (np.eye(len(sized), dtype=bool), ~np.eye(len(sized), dtype=bool))]
    )
    alphas = np.concatenate([sized[kept] + 1 / sized.size, np.maximum(rest, 1e-9) / sized.size])
    of_row, of_column = (np.eye(len(sized))[each] for each in (rows, columns))
    kappas = []
    for _ in range(DRAWS // AT_ONCE):
        shares = rng.dirichlet(alphas, AT_ONCE)
        there = shares[:, :-2]
        observed = there @ (rows == columns) + shares[:, -2]
        expected = ((there @ of_row) * (there @ of_column)).sum(axis=1)
        kappas.append((observed - expected) / (1 - expected))
    return np.concatenate(kappas)


def _corrected(rate: float, sensitivity: float, specificity: float) -> float:
    youden = sensitivity + specificity - 1
    return float((rate + specificity - 1) / youden) if youden > 0 else np.nan


def _rate(k: float, n: float) -> tuple[float, float, float]:
    low, high = wilson(k, n)
    return (k / n if n else np.nan), float(low), float(high)
