"""Writes the page of the reference that lists tables and columns, from the definitions that the package has."""

from collections.abc import Mapping
from pathlib import Path

from introspect.results.tables.trials.columns import COLUMNS, TABLE_COLUMNS, grade_column_texts

INTRODUCTION = """# Tables and columns

Tables are CSV files in the folder `tables` of a run. Rates and shares lie between 0 and 1; loops and layers count from
0. An empty field is missing. Answers may read "NA", so read files with
`pd.read_csv(path, keep_default_na=False, na_values=[""])`.
"""


def write_columns(path: Path) -> None:
    """Write the page."""
    files = _table("file", {f"{name}.csv": text for name, text in TABLE_COLUMNS.items()})
    graded = _table("column", {f"GRADER_{name}": text for name, text in grade_column_texts().items()})
    columns = _table("column", dict(sorted(COLUMNS.items())))
    parts = (INTRODUCTION, files, "## Columns\n", columns, "## Columns of a grade, in trials.csv\n", graded)
    path.write_text("\n".join(parts), encoding="utf-8")


def _table(what: str, rows: Mapping[str, str]) -> str:
    lines = [f"| {what} | meaning |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rows.items())]
    return "\n".join(lines) + "\n"
