"""Agreement of two graders, and rates corrected for what one of them gets wrong. In go verdicts of the same trials.

A verdict that either grader did not give is in no figure and is counted apart. Given the trials' concepts and sampling
weights, shares are weighted and intervals are those of as many independent trials as the sample is worth.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from introspect.results.statistics.clusters import expanded
from introspect.results.statistics.intervals import wilson
from introspect.results.statistics.sizes import effective_size

DRAWS, AT_ONCE = 4000, 500
_FEW = 8
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

    freedom: tuple[float, float] = (np.inf, np.inf)
    """Degrees of freedom of both rates: concepts with such a label - 1, at least 1."""

    @property
    def sensitivity(self) -> tuple[float, float, float]:
        """Return the rate of yes among true yes, with its Wilson interval, whose quantile is that of t."""
        return _rate(self.hits, self.yes, self.freedom[0])

    @property
    def specificity(self) -> tuple[float, float, float]:
        """Return the rate of no among true no, with its Wilson interval, whose quantile is that of t."""
        return _rate(self.rejections, self.no, self.freedom[1])

    def with_own(self, own: "Calibration", *, hits: bool, rejections: bool) -> "Calibration":
        """Return a calibration that has sensitivity, specificity or both of another one."""
        yes, no = own if hits else self, own if rejections else self
        freedom = yes.freedom[0], no.freedom[1]
        return Calibration(yes.hits, yes.yes, no.rejections, no.no, self.unknown, freedom)


def agreement(
    first: pd.Series,
    second: pd.Series,
    *,
    concepts: pd.Series | None = None,
    weights: pd.Series | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """Return Cohen's kappa of two graders' verdicts, or answers, on the same trials, row by row.

    The interval is that of kappa under tables drawn from Dirichlet(counts + 1 / cells), since the usual standard error
    is 0 where the graders never disagree. The counts are divided by the design effect of kappa over concepts, and the
    level is that at which so few concepts cover like a t interval. Kappa is undefined where both give one and the same
    verdict throughout. `n` and `same` count trials as they are.
    """
    one, other, about, shares = _where_both(first, second, concepts, weights)
    counts, weighted = _cross(one, other), _cross(one, other, shares)
    same = pd.Series(one.to_numpy() == other.to_numpy())
    kappa, low, high = np.nan, np.nan, np.nan
    if len(counts) and max(np.diag(counts)) < counts.sum():
        kappa = float(cohens_kappa(weighted, return_results=False))
        size = min(effective_size(same, about, shares), _kappa_size(one, other, about, shares))
        drawn = _drawn_kappas(weighted / weighted.sum() * size, np.random.default_rng(seed))
        level = confidence if about is None else expanded(confidence, max(about.nunique(), 2))
        low, high = (float(each) for each in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    unknown = int(first.isna().sum()), int(second.isna().sum())
    return Agreement(int(counts.sum()), int(np.trace(counts)), *unknown, kappa, low, high)


def calibration(
    verdicts: pd.Series, labels: pd.Series, *, concepts: pd.Series | None = None, weights: pd.Series | None = None
) -> Calibration:
    """Count a grader's verdicts against labels taken as the truth, row by row."""
    truth, given, about, shares = _where_both(labels, verdicts, concepts, weights)
    truth, right = truth.astype(bool), truth.astype(bool) == given.astype(bool)
    yes, no = (_counted(right, side, about, shares) for side in (truth, ~truth))
    freedom = (np.inf, np.inf) if about is None else tuple(float(about[side].nunique()) - 1 for side in (truth, ~truth))
    return Calibration(*yes, *no, len(labels) - len(truth), (max(freedom[0], 1), max(freedom[1], 1)))


def corrected_rate(
    k: float, n: float, grader: Calibration, *, freedom: float = np.inf, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return the true rate behind `k` of `n` graded yes, with an interval that carries the calibration's uncertainty.

    (rate + specificity - 1) / (sensitivity + specificity - 1) (Rogan and Gladen 1978) with the interval of Lang and
    Reiczigel (2014), both clipped to 0 and 1. NaN where there is no calibration, and where the grader is no better than
    a coin: then it tells nothing about the rate. For trials of few concepts give counts divided by the design effect,
    and as `freedom` the concepts - 1: the quantile is that of t with the least freedom of the three rates.
    """
    if min(n, grader.yes, grader.no) == 0:
        return np.nan, np.nan, np.nan
    z = stats.t.ppf((1 + confidence) / 2, min(freedom, *grader.freedom))
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
    """Return the rows for which both graders have a verdict, with what belongs to them."""
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
    (rows, columns), size = _codes(first, second), len(_categories(first, second))
    return np.bincount(size * rows + columns, weights, minlength=size * size).astype(float).reshape(size, size)


def _categories(first: pd.Series, second: pd.Series) -> list[Any]:  # Any: verdicts, or answers by name
    return sorted({*first, *second}) if "str" in (first.dtype, second.dtype) else [False, True]


def _codes(first: pd.Series, second: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the place of each verdict among all that there are."""
    known = _categories(first, second)
    rows, columns = (pd.Categorical(each, categories=known).codes.astype(int) for each in (first, second))
    assert not len(rows) or min(rows.min(), columns.min()) >= 0, f"verdicts beside {known}"
    return rows, columns


def _kappa_size(one: pd.Series, other: pd.Series, concepts: pd.Series | None, weights: pd.Series | None) -> float:
    """Return how many independent trials kappa rests on: those of the weights over its design effect over concepts.

    The design effect is the variance of the sums over concepts of kappa's influence function over that of the trials.
    """
    shares = np.ones(len(one)) if weights is None else weights.to_numpy(dtype=float)
    kish = float(shares.sum() ** 2 / (shares**2).sum())
    if concepts is None or concepts.nunique() < 2:
        return kish
    table = _cross(one, other, pd.Series(shares)) / shares.sum()
    rows, columns = _codes(one, other)
    of_row, of_column = table.sum(axis=1), table.sum(axis=0)
    agreed, by_chance = np.trace(table), float(of_row @ of_column)
    by_margins = of_column[rows] + of_row[columns] - 2 * by_chance
    # the derivative of (agreed - by_chance) / (1 - by_chance) along one trial more
    influence = ((rows == columns) - agreed) / (1 - by_chance) - (1 - agreed) / (1 - by_chance) ** 2 * by_margins
    influence *= shares
    by_concept = pd.Series(influence).groupby(concepts.to_numpy()).sum().to_numpy()
    apart, together = float((influence**2).sum()), float((by_concept**2).sum())
    groups = len(by_concept)
    return kish if apart == 0 else kish / max(1.0, together * groups / (groups - 1) / apart)


def _drawn_kappas(sized: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw tables of shares from Dirichlet(counts + 1 / cells) and give their kappas.

    With many categories the pairs that never occur are drawn as two, those on the diagonal and those off it; what
    these add to the agreement expected by chance is left out, at most one trial's worth.
    """
    kept = np.ones(sized.shape, dtype=bool) if len(sized) <= _FEW else sized > 0
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


def _rate(k: float, n: float, freedom: float) -> tuple[float, float, float]:
    low, high = wilson(k, n, freedom=freedom)
    return (k / n if n else np.nan), float(low), float(high)
