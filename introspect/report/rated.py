"""The rates of a run as sheets: all arms side by side, and by strength. In go findings, out come sheets.

Where the model cannot answer at all, that stands in place of a rate; the counts stay.
"""

import pandas as pd

from introspect.report.gathering import Findings
from introspect.report.sheets import NOWHERE, Sheet, sheet
from introspect.results.panels import ARM_LABELS
from introspect.results.rates import RATE
from introspect.results.statistics.capability import CANNOT_ANSWER

NOTE = (
    "Rates are of the answers that can be read; unknown ones and errors are counted apart. The first interval (Wilson) "
    "takes trials as independent, the one over concepts does not; there is none over fewer than 5 concepts, or where "
    "all concepts agree. Both: detected and identified."
)
REPLACED = ("rate", "95% interval", "95% over concepts", "unknown all no to all yes")


def controls(found: Findings) -> Sheet | None:
    """Put the rates of all arms side by side, all sites and strengths pooled; None without grades."""
    return _sheet(found.rates("arm"), "controls", "Rates of all arms, over all sites and strengths")


def doses(found: Findings) -> Sheet | None:
    """Give the rates by arm and strength, all sites pooled; None without grades."""
    return _sheet(found.rates("arm", "strength"), "doses", "Rates by strength, over all sites")


def strengths(found: Findings) -> int:
    """Count the strengths that were injected so far."""
    return int(found.trials["strength"].nunique())


def _sheet(table: pd.DataFrame, name: str, title: str) -> Sheet | None:
    if table.empty:
        return None
    table = table[(table["n"] > 0) | (table["unknown"] > 0) | (table["errors"] > 0)].reset_index(drop=True)
    first = [key for key in ("grader", "question", "template", "measure") if key in table]
    other = [str(key) for key in table if key not in (*first, *RATE)]
    arms = {arm: place for place, arm in enumerate(ARM_LABELS)}
    order = table.assign(arm=table["arm"].map(arms), measure=table["measure"].map(_place(table["measure"])))
    columns = [*first, *other, *(name for name in RATE if name != "note")]
    table = table.iloc[order.sort_values([*first, *other]).index]
    gated = table["note"] == CANNOT_ANSWER
    made = sheet(name, title, table[columns].assign(arm=table["arm"].map(ARM_LABELS)), NOTE)
    rows = [_gated(made.header, row) if closed else row for row, closed in zip(made.rows, gated, strict=True)]
    return Sheet(made.name, made.title, made.header, tuple(rows), made.note)


def _gated(header: tuple[str, ...], row: tuple[str, ...]) -> tuple[str, ...]:
    """Put the words in the place of the rate, and nothing in those of its intervals."""
    said = {**dict.fromkeys(REPLACED, NOWHERE), "rate": CANNOT_ANSWER}
    return tuple(said.get(name, text) for name, text in zip(header, row, strict=True))


def _place(measures: pd.Series) -> dict[str, int]:
    return {measure: place for place, measure in enumerate(dict.fromkeys(measures))}
