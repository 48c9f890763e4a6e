"""The rates of a run as sheets: all arms side by side, and by strength. In go findings, out come sheets.

Where the model cannot answer at all, that stands in place of a rate; the counts stay.
"""

import pandas as pd

from introspect.report.findings import Findings
from introspect.report.sheets import NOWHERE, Sheet, sheet
from introspect.results.figures.style import ARM_LABELS
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.tables.rates.rates import RATE

NOTE = (
    "Rates are of the answers that can be read; unknown ones and errors are counted apart. The interval is Wilson's at "
    "the number of independent trials that the answers are worth, since those of one concept are alike. Both: detected "
    "and identified."
)
MAIN = ("detected", "identified", "both", "correct")
"""Measures that are shown first; whether answers are coherent, or refusals, stands behind."""
_HIDDEN = ("concepts", "independent", "note")
"""Columns of rates.csv that a sheet has no room for."""
REPLACED = ("rate", "95% interval", "unknown all no to all yes")


def controls(found: Findings) -> list[Sheet]:
    """Put the rates of all arms side by side, sites and strengths pooled: what matters most first, then the rest."""
    table = _given(found.rates("arm"))
    if table.empty:
        return []
    main = table["measure"].isin(MAIN)
    if "grader" in table:
        main &= table["grader"] == found.graders[0]
    sheets = (
        _sheet(table[main], "controls", "Rates of all arms, over all sites and strengths"),
        _sheet(table[~main], "controls-more", "Other measures and graders, over all sites and strengths"),
    )
    return [each for each in sheets if each.rows]


def doses(found: Findings) -> Sheet | None:
    """Return the rates by arm and strength, all sites pooled; None without grades."""
    table = _given(found.rates("arm", "strength"))
    return None if table.empty else _sheet(table, "doses", "Rates by strength, over all sites")


def strengths(found: Findings) -> int:
    """Count the strengths that were injected so far."""
    return int(found.trials["strength"].nunique())


def _sheet(table: pd.DataFrame, name: str, title: str) -> Sheet:
    table = table.reset_index(drop=True)
    if "grader" in table and table["grader"].nunique() == 1:
        title = f"{title}, graded by {table.pop('grader').iloc[0]}"
    first = [key for key in ("grader", "question", "template", "measure") if key in table]
    other = [str(key) for key in table if key not in (*first, *RATE)]
    ranks = {rank: place for place, rank in enumerate((*ARM_LABELS, *dict.fromkeys(table["measure"])))}
    order = table.assign(arm=table["arm"].map(ranks), measure=table["measure"].map(ranks))
    columns = [*first, *other, *(name for name in RATE if name not in _HIDDEN)]
    table = table.iloc[order.sort_values([*first, *other]).index]
    gated = table["note"] == CANNOT_ANSWER
    made = sheet(name, title, table[columns].assign(arm=table["arm"].map(ARM_LABELS)), NOTE)
    rows = [_gated(made.header, row) if closed else row for row, closed in zip(made.rows, gated, strict=True)]
    return Sheet(made.name, made.title, made.header, tuple(rows), made.note)


def _given(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows of a measure on which their grader has no verdict at all, while another has."""
    if "grader" not in table:
        return table
    both = table["measure"] == "both"  # given by a grader that gives `identified`
    given = table.assign(measure=table["measure"].mask(both, "identified"), n=table["n"].mask(both, 0))
    about = [name for name in ("question", "measure") if name in table]
    own = given.groupby(["grader", *about])["n"].transform("sum")
    return table[(own > 0) | (given.groupby(about)["n"].transform("sum") == 0)]


def _gated(header: tuple[str, ...], row: tuple[str, ...]) -> tuple[str, ...]:
    """Put the words in the place of the rate, and nothing in those of its intervals."""
    said = {**dict.fromkeys(REPLACED, NOWHERE), "rate": CANNOT_ANSWER}
    return tuple(said.get(name, text) for name, text in zip(header, row, strict=True))
