"""What is known of an organism's effects: in which bounds one lies, or that it is 0.

Takes the narrow trials of its sweeps of the primary contrast. Returns checks.
"""

from dataclasses import dataclass

import pandas as pd

from introspect.calibration.effect_measures import EffectMeasure, Measured, primary_contrast

ABOVE_0 = (0.0, float("inf"))


@dataclass(frozen=True)
class EffectTruth:
    """Something known about an effect, from how the organism was trained."""

    organism: str
    claim: str
    inside: tuple[float, float] | None
    """Between which bounds its interval lies; None: around 0, wherever it ends."""
    loops: tuple[int, ...]
    """Loops of the injection, over which it is averaged."""
    measure: EffectMeasure = primary_contrast


@dataclass(frozen=True)
class EffectCheck:
    """Such a truth, as measured."""

    truth: EffectTruth
    found: Measured

    @property
    def unknown(self) -> int:
        """Count the concepts that lack a part."""
        return self.found.unknown

    @property
    def claim(self) -> str:
        """Say what is known."""
        return self.truth.claim

    @property
    def known(self) -> str:
        """Say where the interval is known to lie."""
        if self.truth.inside is None:
            return "0 in the interval"
        low, high = self.truth.inside
        return f"above {low:g}" if high == float("inf") else f"{low:g} to {high:g}"

    @property
    def measured(self) -> str:
        """Say the mean and its interval."""
        return f"{self.found.mean:+.2f} [{self.found.low:+.2f}, {self.found.high:+.2f}]"

    @property
    def counted(self) -> str:
        """Say of how many concepts, or plain questions."""
        return f"{self.found.n} means"

    @property
    def recovered(self) -> bool:
        """Tell whether the interval lies where it should; one that is missing does not."""
        if self.truth.inside is None:
            return self.found.low <= 0 <= self.found.high
        low, high = self.truth.inside
        return low < self.found.low and self.found.high < high


def check_effect(truth: EffectTruth, trials: pd.DataFrame) -> EffectCheck:
    """Measure one effect over the loops of a truth. Raises InputError where an arm or question is missing."""
    here = trials["loop"].isna() | trials["loop"].isin(truth.loops)
    return EffectCheck(truth, truth.measure(trials[here]))
