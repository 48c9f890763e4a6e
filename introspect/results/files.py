"""The tables and figures beside a run's database: each file appears whole or not at all."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

FORMATS: dict[str, dict[str, object]] = {"png": {"dpi": 300}, "pdf": {"metadata": {"CreationDate": None}}}


def write_table(folder: Path, name: str, table: pd.DataFrame) -> Path:
    """Write `tables/<name>.csv` into the run; missing is an empty field."""
    with _table_file(folder, name) as (path, file):
        table.to_csv(file, index=False, lineterminator="\n")
    return path


def write_rows(folder: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write `tables/<name>.csv` row by row, just as `write_table` does it at once; None is an empty field.

    Text stays as it is, also where a spreadsheet would take it for a formula. Answers may read "NA" or "None", so read
    the file with `pd.read_csv(path, keep_default_na=False, na_values=[""])`.
    """
    with _table_file(folder, name) as (path, file):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_figure(folder: Path, name: str, figure: Figure) -> list[Path]:
    """Write `figures/<name>.png` (300 dpi) and `.pdf` (text stays text, fonts embedded) into the run."""
    paths = []
    for suffix, options in FORMATS.items():
        path = folder / "figures" / f"{name}.{suffix}"
        with _replacing(path) as part, matplotlib.rc_context({"pdf.fonttype": 42}):
            figure.savefig(part, format=suffix, **options)  # type: ignore[arg-type]
        paths.append(path)
    return paths


@contextmanager
def _table_file(folder: Path, name: str) -> Iterator[tuple[Path, TextIO]]:
    path = folder / "tables" / f"{name}.csv"
    # a carriage return ends a line for readers of CSV: escaping it by quotes needs newline=""
    with _replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield path, file


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
