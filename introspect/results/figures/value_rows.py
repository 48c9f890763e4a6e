"""Values with their intervals, one below the other: first and third person, agreement of graders, capability.

Takes the table of the same name. Returns axes.
"""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from introspect.results.figures.layout import caption, legend, wrapped
from introspect.results.figures.panels import panels
from introspect.results.figures.style import ARM_LABELS, COLOURS, STYLE, span_of
from introspect.results.statistics.capability import ACCURACY_FLOOR, MASS_FLOOR
from introspect.results.tables.trials.absence import AbsentError

NAME_WIDTH = 1.35
"""Inches of the names beside values in rows."""


@matplotlib.rc_context(STYLE)
def third_person_points(table: pd.DataFrame) -> list[Axes]:
    """Draw first person, third person and the excess over all cells, in logits, or in shares where there are none."""
    whole = table[table["strength"].isna()].assign(rate=lambda rows: rows["mean"])
    logits = whole["measure"].isin(("contrast", "injected")) & whole["rate"].notna()
    shown, label = (whole[logits], "logits") if logits.any() else (whole[~logits], "share")
    said = shown["measure"] + (" / " + shown["third"] if shown["third"].nunique() > 1 else "")
    axes = _lines(shown.assign(name=said + ": " + shown["effect"]), f"effect of the injection ({label})", None)
    axes[0].axvline(0, color="#555555", linewidth=0.6)
    counts = span_of(shown["n"])
    caption(axes, f"over all cells; t intervals over concepts; n = {counts} concepts; third_person.csv")
    return axes


@matplotlib.rc_context(STYLE)
def agreement_points(agreement: pd.DataFrame) -> list[Axes]:
    """Draw Cohen's kappa of every two graders with its interval, a line per measure."""
    names = agreement["first"] + " / " + agreement["second"] + ": " + agreement["measure"]
    axes = _lines(
        agreement.assign(name=names, rate=agreement["kappa"]), "Cohen's kappa (1: always agree)", (-0.05, 1.05)
    )
    caption(axes, f"bars: 95% intervals; n = {span_of(agreement['n'])} answers")
    return axes


@matplotlib.rc_context(STYLE)
def capability_points(capability: pd.DataFrame) -> list[Axes]:
    """Draw accuracy and mass for each kind of answer, with nothing injected unless it is said, beside their floors."""
    other = capability["answers"] + " (" + capability["judged_arm"].replace(ARM_LABELS) + ")"
    kind = capability["answers"].where(capability["judged_arm"] == "none", other)
    where = kind + ", " + capability["grader"] + ", " + capability["n_loops"].astype("str") + " loops"
    mass = pd.DataFrame({"rate": capability["mass"], "low": capability["mass_low"], "high": capability["mass_high"]})
    axes = _lines(
        pd.concat(
            [capability.assign(name="right: " + where, rate=capability["accuracy"]), mass.assign(name="mass: " + where)]
        ),
        "share right, or probability mass",
        (-0.02, 1.02),
    )
    for floor, style, label in (
        (ACCURACY_FLOOR, ":", "floor of right answers"),
        (MASS_FLOOR, "--", "floor of the mass"),
    ):
        axes[0].axvline(floor, color="#555555", linestyle=style, label=label)
    legend(axes)
    caption(axes, f"can the model answer? bars: 95% intervals; n = {span_of(capability['n'])} answers")
    return axes


def _lines(rows: pd.DataFrame, label: str, limits: tuple[float, float] | None) -> list[Axes]:
    """Draw values with intervals, one below the other."""
    rows = rows.dropna(subset="rate").reset_index(drop=True)
    if rows.empty:
        raise AbsentError("no row has a value")
    names = [wrapped(name, NAME_WIDTH, STYLE["ytick.labelsize"]) for name in rows["name"]]
    height = 0.35 + sum(0.1 + 0.12 * (name.count("\n") + 1) for name in names)
    axes = panels(1, width=5.0, height=height)
    bars = np.clip([rows["rate"] - rows["low"], rows["high"] - rows["rate"]], 0, None)
    axes[0].errorbar(rows["rate"], rows.index, xerr=bars, fmt="o", color=COLOURS["injected"], capsize=2, elinewidth=0.8)
    axes[0].set_yticks(rows.index, names)
    axes[0].set(xlabel=label, ylim=(len(rows) - 0.5, -0.5))
    if limits is not None:
        axes[0].set_xlim(limits)
    return axes
