"""Scores of what was fitted anew in several splits, with intervals that hold the fits as well.

Goes in: what was said of each item in each split. Come out: estimates, by the corrected resampled t of Nadeau and
Bengio (2003, "Inference for the generalization error", Machine Learning 52). With s2 the variance of the scores of the
J parts tested, of all splits:

    variance = (1 / J + tested / fitted) * s2,    t with J - 1 degrees of freedom, and fewer than there are groups

Parts of different splits share groups, and what was fitted for them does; the second term stands for that.
`benchmarks/probe_intervals.py` has how often such intervals cover the truth.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from introspect.analyses.monitor.probes import FOLDS, Labels
from introspect.analyses.monitor.regression import Floats
from introspect.analyses.monitor.scores import Scoring
from introspect.results.statistics.clusters import Estimate
from introspect.results.statistics.intervals import wilson

REFITS = 5
"""How often the items are split; what has an interval that holds the fits is fitted in each split."""
ONE_FIT = "intervals are of one fit, too narrow"
"""Said of maps, whose probes are fitted in one split."""
OF_REFITS = f"corrected for refits in {REFITS} splits"
"""Said of the intervals below."""


@dataclass(frozen=True)
class Refits:
    """Items with their truth, and how they were split."""

    scoring: Scoring
    places: Labels
    """`(split, item)`: the fold of each item; what is said of it was fitted without that fold."""

    def score(self, measure: str, said: Floats) -> Estimate:
        """Estimate accuracy, f1 or balanced of what is said in each split, `(split, item)`: the mean over splits.

        A share that is the same in all parts has Wilson's interval, of as many trials as there are groups.
        """
        found = corrected(self._whole(measure, said), self._parts(measure, said), self._groups)
        if np.isnan(found.low) and not np.isnan(found.value) and measure != "f1":
            low, high = wilson(found.value * self._groups, self._groups)
            return Estimate(found.value, float(low), float(high), self._groups)
        return found

    def gap(self, measure: str, said: Floats, less: Floats) -> Estimate:
        """Estimate by how much a measure of what is said is above that of something else fitted in the same splits.

        Both are scored on the same groups in each part, so its difference is that of paired groups.
        """
        whole, parts = (of(measure, said) - of(measure, less) for of in (self._whole, self._parts))
        return corrected(whole, parts, self._groups, lowest=-1.0)

    @property
    def _groups(self) -> int:
        return len(np.unique(self.scoring.groups))

    def _whole(self, measure: str, said: Floats) -> Floats:
        """Score each split, `(split,)`."""
        return np.array([self.scoring.value(measure, each) for each in said])

    def _parts(self, measure: str, said: Floats) -> Floats:
        """Score each part of each split alone, `(split, fold)`; NaN where it has nothing to score."""
        return np.stack([self._whole(measure, np.where(self.places == fold, said, np.nan)) for fold in range(FOLDS)], 1)


def scored(scoring: Scoring, measure: str, said: Floats, places: Labels) -> Estimate:
    """Estimate a measure of what is said once, `(item,)`, over groups; or fitted in each split, `(split, item)`."""
    return scoring.score(measure, said) if said.ndim == 1 else Refits(scoring, places).score(measure, said)


def corrected(whole: Floats, parts: Floats, groups: int, *, lowest: float = 0.0) -> Estimate:
    """Return the mean of the scores of splits, `(split,)`, with the corrected interval of their parts, `(split, fold)`.

    A part that has no score, NaN, is left out. The bounds lie between `lowest` and 1; they are NaN where parts do not
    differ, or a split has but one.
    """
    known, splits, value = parts[~np.isnan(parts)], len(parts), float(np.mean(whole))
    n = len(known)
    if n <= splits or groups < 2 or np.ptp(known) == 0:
        return Estimate(value, np.nan, np.nan, groups)
    tested = splits / (n - splits)  # over fitted: one part of a split over all its others
    reach = np.sqrt((1 / n + tested) * known.var(ddof=1)) * stats.t.ppf(0.975, min(n, groups) - 1)
    low, high = np.clip([value - reach, value + reach], lowest, 1)
    return Estimate(value, float(low), float(high), groups)
