"""The capability gate. Takes plain trials, questions with known answers and nothing injected, returns a verdict.

A model that puts no mass on the answers or gets plain questions wrong cannot show a null: it cannot answer. There is a
gate for each kind of answer.
"""

import math
from dataclasses import dataclass

import pandas as pd

from introspect.results.statistics.clustered_rates import clustered_rate
from introspect.results.statistics.intervals import mean_interval

MASS_FLOOR = 0.5
ACCURACY_FLOOR = 0.75
CANNOT_ANSWER = "cannot answer"
CAN_ANSWER = "can answer"


@dataclass(frozen=True)
class Capability:
    """What a model does with plain questions; NaN where there is nothing to count."""

    mass: float
    """Mean probability on the answer tokens, at the first token of the answer."""

    mass_low: float
    mass_high: float
    k: int
    """Right answers."""

    n: int
    """Answers that could be read."""

    unknown: int
    """Answers that could not; in no rate."""

    errors: int
    accuracy: float
    low: float
    high: float
    verdict: str
    """"can answer", "cannot answer", or "unknown" where no plain trial ran or none has a read-out."""


def capability(
    plain: pd.DataFrame,
    *,
    correct: str = "rules_correct",
    mass: str | None = "mass",
    mass_floor: float = MASS_FLOOR,
    accuracy_floor: float = ACCURACY_FLOOR,
) -> Capability:
    """Judge whether the model can answer at all, from trials with the columns state, mass and `correct`.

    It can if the mean mass reaches its floor and the right answers, as a share of all answers, reach theirs. With a
    `mass` of None, as for lines to be repeated, the right answers decide alone. Here and only here an unreadable answer
    counts against the model, because answering is what is tested. Intervals are over the different questions, by a
    column `asked`; without it every trial is a question of its own.
    """
    ran = plain[plain["state"] == "done"]
    verdicts = ran[correct]
    k, n = int(verdicts.fillna(False).sum()), int(verdicts.notna().sum())
    questions = ran["asked"] if "asked" in ran else pd.Series(range(len(ran)), index=ran.index)
    _, low, high = clustered_rate(questions, verdicts)
    masses = ran[mass].astype(float).groupby(questions).mean().dropna() if mass else pd.Series(dtype=float)
    of_mass = mean_interval(masses.to_numpy())
    verdict = "unknown"
    if len(ran) and not (mass and math.isnan(of_mass[0])):
        able = (mass is None or of_mass[0] >= mass_floor) and k / len(ran) >= accuracy_floor
        verdict = CAN_ANSWER if able else CANNOT_ANSWER
    counts = (k, n, len(ran) - n, len(plain) - len(ran))
    accuracy = k / n if n else math.nan
    return Capability(*of_mass, *counts, accuracy, low, high, verdict)
