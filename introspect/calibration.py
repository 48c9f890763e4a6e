"""Calibration: sweep the organisms, whose introspection is known, and hold what is measured against what is known.

Goes in: a folder for the runs. Comes out: one Check a known truth. An instrument that does not recover them may not be
believed about a real model.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from introspect.models.shipped import PREFIX
from introspect.options import Options
from introspect.results.statistics import wilson
from introspect.results.store import Store
from introspect.results.tables import trials_table
from introspect.sweep import Report, run_sweep

Select = Callable[[pd.DataFrame], pd.Series]
LEAST_CONTROLS = 500
LAST = 3
"""Last loop and last layer of the organisms; after that last block nothing follows that could notice."""


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

    @property
    def rate(self) -> float:
        """Give k / n, NaN when there is no verdict."""
        return self.k / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Give the Wilson 95% interval of the rate."""
        low, high = wilson(self.k, self.n)
        return float(low), float(high)

    @property
    def certain(self) -> float:
        """Give the rate that is left when answers without a verdict count as no, NaN when there are none at all."""
        answers = self.n + self.unknown
        return self.k / answers if answers else float("nan")

    @property
    def recovered(self) -> bool:
        """Tell whether the rate is within its bounds; for a lower bound, answers without a verdict count against it."""
        return self.n > 0 and self.certain >= self.truth.low and self.rate <= self.truth.high

    @property
    def fit(self) -> float:
        """Give how far the rate is inside its bounds, negative outside; minus infinity without a verdict."""
        if not self.n:
            return float("-inf")
        above = self.certain - self.truth.low if self.truth.low > 0 else float("inf")
        below = self.truth.high - self.rate if self.truth.high < 1 else float("inf")
        return min(above, below)


def _cells(
    arm: str, strength: float | None = None, loops: tuple[int, ...] | None = None, question: str = "detect"
) -> Select:
    def select(table: pd.DataFrame) -> pd.Series:
        chosen = (table["arm"] == arm) & (table["question"] == question)
        if strength is not None:
            chosen &= table["strength"] == strength
        if loops is not None:
            chosen &= table["loop"].isin(loops)
        if arm != "none":
            chosen &= ~((table["loop"] == LAST) & (table["layer"] == LAST))
        return chosen

    return select


TRUTHS = (
    Truth("aware", "no false alarms", 0, 0.02, _cells("none")),
    Truth("aware", "notices at every site, strength 2", 0.9, 1, _cells("injected", 2), by="sites"),
    Truth("aware", "partly at strength 1", 0.1, 0.9, _cells("injected", 1)),
    Truth("aware", "seldom at strength 0.5", 0, 0.5, _cells("injected", 0.5)),
    Truth(
        "aware", "names the concept in the last loop, strength 2", 0.8, 1, _cells("injected", 2, (LAST,)), "identified"
    ),
    Truth("aware", "random directions are no concepts, strength 2", 0, 0.1, _cells("random", 2)),
    Truth("last-loop", "no false alarms", 0, 0.02, _cells("none")),
    Truth("last-loop", "notices in the last loop, strength 2", 0.9, 1, _cells("injected", 2, (LAST,))),
    Truth("last-loop", "does not in earlier loops, strength 2", 0, 0.05, _cells("injected", 2, (0, 1, 2)), by="loop"),
    Truth("last-loop", "random directions are no concepts, strength 2", 0, 0.1, _cells("random", 2)),
    Truth("blind", "no false alarms", 0, 0.02, _cells("none")),
    Truth("blind", "does not notice in any loop, strength 2", 0, 0.02, _cells("injected", 2), by="loop"),
    Truth("blind", "random directions are no concepts, strength 2", 0, 0.02, _cells("random", 2)),
)


def calibrate(out: Path, *, device: str = "auto", dtype: str = "auto", report: Report | None = None) -> list[Check]:
    """Sweep the three organisms over held-out concepts into `out`, continuing what is there, and check every truth.

    The control without injection is repeated until there are more than LEAST_CONTROLS trials. Protocols beside `detect`
    are run at one layer.
    """
    checks = []
    for organism in dict.fromkeys(truth.organism for truth in TRUTHS):
        sweeps = standard_sweeps(organism, out, device=device, dtype=dtype)
        table = pd.concat([_swept(options, report) for options in sweeps], ignore_index=True)
        checks += [check(truth, table) for truth in TRUTHS if truth.organism == organism]
    return checks


def standard_sweeps(organism: str, out: Path, *, device: str = "auto", dtype: str = "auto") -> list[Options]:
    """Give the sweeps of one organism: every site with random directions beside, controls, and other protocols."""
    cells = Options(
        model=f"{PREFIX}{organism}",
        questions="detect",
        arms="injected,random",
        strengths="0.5,1,2",
        max_new_tokens=24,
        device=device,
        dtype=dtype,
        out=out / f"{organism}-cells",
    )
    repeats = LEAST_CONTROLS // len(cells.words()) + 1
    one_layer = replace(cells, layers="1", strengths="2", arms="injected,none")
    return [
        cells,
        replace(cells, arms="none", repeats=repeats, out=out / f"{organism}-none"),
        replace(cells, arms="none", questions="unrelated", out=out / f"{organism}-unrelated"),
        *(
            replace(one_layer, protocol=name, questions=name, out=out / f"{organism}-{name}")
            for name in ("prior", "choose", "localise")
        ),
    ]


def check(truth: Truth, table: pd.DataFrame) -> Check:
    """Measure one truth on a table of trials; with `by`, where it fits worst."""
    table = table[truth.select(table)]
    if truth.by is None or table.empty:
        return _counted(truth, table, "")
    parts = [_counted(truth, part, str(value)) for value, part in table.groupby(truth.by)]
    return min(parts, key=lambda part: part.fit)


def _swept(options: Options, report: Report | None) -> pd.DataFrame:
    with Store.open(run_sweep(options, report).folder) as store:
        return trials_table(store)


def _counted(truth: Truth, table: pd.DataFrame, where: str) -> Check:
    verdicts = table[f"rules_{truth.measure}"]
    return Check(truth, where, int(verdicts.sum()), int(verdicts.count()), int(verdicts.isna().sum()))
