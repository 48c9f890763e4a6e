"""The rates of a run as sheets: all arms side by side, and by strength. In go findings, out come sheets.

Where the model cannot answer at all, that stands in place of a rate of noticing; the counts stay.
"""

import pandas as pd

from introspect.report.gathering import Findings
from introspect.report.headline import cannot_answer
from introspect.report.sheets import Sheet, sheet
from introspect.results.panels import ARM_LABELS
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.tables import RATE

GATED = ("detected", "identified", "both")
NOTE = (
    "Rates are of the answers that can be read; unknown ones and errors are counted apart. The first interval (Wilson) "
    "takes trials as independent, the one over concepts does not; there is none over fewer than 5 concepts, or where all "
    "concepts agree."
)
REPLACED = {"rate": "rate", "95% interval": "low", "95% over concepts": "concepts_low"}


def controls(found: Findings) -> Sheet | None:
    """Put the rates of all arms side by side, all sites and strengths pooled; None without grades."""
    return _sheet(found, found.rates("arm"), "controls", "Rates of all arms, over all sites and strengths")


def doses(found: Findings) -> Sheet | None:
    """Give the rates by arm and strength, all sites pooled; None without grades."""
    return _sheet(found, found.rates("arm", "strength"), "doses", "Rates by strength, over all sites")


def strengths(found: Findings) -> int:
    """Count the strengths that were injected so far."""
    return int(found.trials["strength"].nunique())


def _sheet(found: Findings, table: pd.DataFrame, name: str, title: str) -> Sheet | None:
    if table.empty:
        return None
    table = table[(table["n"] > 0) | (table["unknown"] > 0) | (table["errors"] > 0)]
    first = [key for key in ("grader", "question", "template", "measure") if key in table]
    other = [key for key in table if key not in (*first, *RATE)]
    arms = {arm: place for place, arm in enumerate(ARM_LABELS)}
    order = table.assign(arm=table["arm"].map(arms), measure=table["measure"].map(_place(table["measure"])))
    table = table.loc[order.sort_values([*first, *other]).index, [*first, *other, *RATE]]
    gated = table["measure"].isin(GATED).to_numpy() if cannot_answer(found) else [False] * len(table)
    made = sheet(name, title, table.assign(arm=table["arm"].map(ARM_LABELS)), NOTE)
    rows = [_gated(made.header, row) if closed else row for row, closed in zip(made.rows, gated, strict=True)]
    return Sheet(made.name, made.title, made.header, tuple(rows), made.note)


def _gated(header: tuple[str, ...], row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(CANNOT_ANSWER if name in REPLACED else text for name, text in zip(header, row, strict=True))


def _place(measures: pd.Series) -> dict[str, int]:
    return {measure: place for place, measure in enumerate(dict.fromkeys(measures))}
