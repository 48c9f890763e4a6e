"""What the tables say, a sentence each, with n and interval. In go tables, out come sentences."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from introspect.analyses.trajectory.lenses import WITHIN
from introspect.results.figures.style import ARM_LABELS

_Row = Any
"""A row of a table."""


def trajectory_sentences(tables: Mapping[str, pd.DataFrame], strength: float) -> tuple[str, ...]:
    """Say what came out, of the first injected site and the strength of the figures."""
    site = str(tables["totals"]["sites"].iloc[0])
    return (
        *_lengths(tables["totals"], site, strength),
        _profiles(tables["totals"], site, strength),
        *(_read(part, site, strength) for _, part in tables["readings"].groupby("lens", sort=False)),
        _remembered(tables["memory"]),
    )


def _lengths(totals: pd.DataFrame, site: str, strength: float) -> list[str]:
    rows = totals[(totals["metric"] == "unembedding") & (totals["sites"] == site) & (totals["strength"] == strength)]
    said = []
    for quantity, what in (("salience", "length"), ("curvature", "mean curvature"), ("area", "surface area")):
        parts = [
            f"{_relative(row, 'mean')} [{_relative(row, 'low')}, {_relative(row, 'high')}] under the "
            f"{ARM_LABELS[str(row['arm'])]} (n = {row['n']} concepts)"
            for _, row in rows[rows["quantity"] == quantity].iterrows()
        ]
        said.append(
            f"Injected at {site} (loop:layer), strength {strength:g}, the {what} of the last token's path differs from "
            f"the control's by {' and '.join(parts)}."
        )
    return said


def _profiles(totals: pd.DataFrame, site: str, strength: float) -> str:
    rows = totals[(totals["sites"] == site) & (totals["strength"] == strength) & (totals["arm"] == "injected")]
    parts = [
        f"{row['profile_r']:.2f} [{row['profile_r_low']:.2f}, {row['profile_r_high']:.2f}] ({row['metric']} metric)"
        for _, row in rows[rows["quantity"] == "curvature"].iterrows()
    ]
    return (
        f"The curvature profiles themselves, of a trial injected at {site} and of its control, correlate over sites: "
        f"r = {' and '.join(parts)}; n = {rows['n'].max()} concepts. Near 1 a profile is the architecture's own, which "
        "is why only differences are shown."
    )


def _read(readings: pd.DataFrame, site: str, strength: float) -> str:
    rows = readings[(readings["sites"] == site) & (readings["strength"] == strength)]
    parts = []
    for arm, part in rows.groupby("arm", sort=False):
        seen = part[part["readable_from"].notna()]
        n, ever, kept = part["concept"].nunique(), seen["concept"].nunique(), (seen["lost_from"] == "never").sum()
        where = f", first at {seen['readable_from'].mode().iloc[0]} (most often)" if ever else ""
        parts.append(f"{ever} of {n} concepts{where}, {kept} of them to the end, under the {ARM_LABELS[str(arm)]}")
    return (
        f"Through the {readings['lens'].iloc[0]} lens, injected at {site} with strength {strength:g}, the concept "
        f"comes within rank {WITHIN} where the control's does not for {'; '.join(parts)}."
    )


def _remembered(memory: pd.DataFrame) -> str:
    behind = memory[memory["share"] > 0]
    if behind.empty:
        return "Nothing of any injection reaches keys or values of its span: every site read lies before it."
    (best, least) = (behind.iloc[int(place)] for place in (behind["rate"].argmax(), behind["rate"].argmin()))
    rates = f"{_rate(best)} (at every site)"
    if least["rate"] < best["rate"]:
        rates = f"{_rate(least)} (injected at {least['sites']}, read at {least['site']}) to {_rate(best)} "
        rates += f"(at {best['sites']}, read at {best['site']})"
    return (
        f"From the span's keys and values behind the injection a probe names the concept in {rates} of held-out "
        f"trials, n = {best['n']} concepts; shuffled names give {behind['shuffled'].mean():.1%}, chance is "
        f"{best['chance']:.1%}."
    )


def _rate(row: _Row) -> str:
    return f"{row['rate']:.0%} [{row['low']:.0%}, {row['high']:.0%}]"


def _relative(row: _Row, end: str) -> str:
    """Write a difference as a share of the control's value."""
    return f"{row[end] / row['control']:+.0%}"
