"""What is known of an organism's primary contrast: it is 0, or it is not.

Takes the narrow trials of a sweep with plain questions under the same injections. Returns checks.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.results.statistics.contrasts import concept_effects, overall_contrasts
from introspect.results.tables.compression import PAIRED_BY


@dataclass(frozen=True)
class EffectTruth:
    """Something known about an organism's primary contrast, from how it was trained."""

    organism: str
    claim: str
    notices: bool
    """Whether the contrast is above 0; if not, it is 0."""
    loops: tuple[int, ...]
    """Loops of the injection, over which it is averaged."""


@dataclass(frozen=True)
class EffectCheck:
    """Such a truth, as measured."""

    truth: EffectTruth
    mean: float
    """Logits; NaN where no concept has all parts."""
    low: float
    high: float
    concepts: int
    unknown: int
    """Concepts that lack a part."""

    @property
    def claim(self) -> str:
        """Say what is known."""
        return self.truth.claim

    @property
    def known(self) -> str:
        """Say where the interval is known to lie."""
        return "above 0" if self.truth.notices else "0 in the interval"

    @property
    def measured(self) -> str:
        """Say the contrast and its interval over concepts."""
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"

    @property
    def counted(self) -> str:
        """Say of how many concepts."""
        return f"{self.concepts} concepts"

    @property
    def recovered(self) -> bool:
        """Tell whether the interval lies where it should; one that is missing does not."""
        return bool(self.low > 0 if self.truth.notices else self.low <= 0 <= self.high)


def check_effect(truth: EffectTruth, trials: pd.DataFrame) -> EffectCheck:
    """Measure the primary contrast over the loops of a truth. Raises InputError where an arm or question is missing."""
    effects = concept_effects(trials[trials["arm"].ne("wrong")], pairs=PAIRED_BY)
    here = effects[effects["loop"].isin(truth.loops)]
    if here.empty:
        return EffectCheck(truth, np.nan, np.nan, np.nan, 0, 0)
    table = overall_contrasts(here)
    row = table.loc[table["effect"] == "contrast", ["mean", "low", "high", "n", "dropped"]].to_numpy(dtype=float)[0]
    return EffectCheck(truth, *row[:3].tolist(), *row[3:].astype(int).tolist())
