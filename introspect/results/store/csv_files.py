"""The tables and figures beside a run's database: each file appears whole or not at all."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from introspect.whole_files import replacing

END = "\r\n"
"""What ends a row for `csv`, which quotes a text only where it holds one of these; a file has the second one alone."""
DPI = 300
FORMATS: dict[str, dict[str, object]] = {"png": {"dpi": DPI}, "pdf": {"metadata": {"CreationDate": None}}}
FONTS: dict[Any, Any] = {"pdf.fonttype": 42}  # Any: types of matplotlib know its names one by one
"""Fonts are embedded as TrueType: publishers refuse those that a PDF draws itself."""


def write_table(folder: Path, name: str, table: pd.DataFrame) -> Path:
    """Write `tables/<name>.csv` into the run; missing is an empty field."""
    with _table_file(folder, name) as (path, file):
        table.to_csv(file, index=False, lineterminator=END)
    return path


def write_rows(folder: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write `tables/<name>.csv` row by row, just as `write_table` does it at once; None is an empty field.

    Text stays as it is, also where a spreadsheet would take it for a formula. Answers may read "NA" or "None", so read
    the file with `pd.read_csv(path, keep_default_na=False, na_values=[""])`.
    """
    with _table_file(folder, name) as (path, file):
        writer = csv.writer(file, lineterminator=END)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_figure(folder: Path, name: str, figure: Figure) -> list[Path]:
    """Write `figures/<name>.png` (300 dpi) and `.pdf` (text stays text, fonts embedded) into the run."""
    paths = []
    with laid_out_once(figure), matplotlib.rc_context(FONTS):
        for suffix, options in FORMATS.items():
            path = folder / "figures" / f"{name}.{suffix}"
            drawn = io.BytesIO()  # on a full disk matplotlib's own writer of PDF hides the error behind another one
            figure.savefig(drawn, format=suffix, **options)  # type: ignore[arg-type]
            with replacing(path) as part:
                part.write_bytes(drawn.getbuffer())
            paths.append(path)
    return paths


@contextmanager
def laid_out_once(figure: Figure) -> Iterator[None]:
    """Lay a figure out once for all formats, without drawing it: each of them would draw it twice to do so anew."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


class _Rows:
    """A file of rows: what is written is one row, of which the carriage return at the end is left out.

    One inside a text ends a line for readers of CSV, unless it is quoted: hence END.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str, /) -> int:
        return self._file.write(row.removesuffix(END) + END[1:])

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def _table_file(folder: Path, name: str) -> Iterator[tuple[Path, Any]]:  # Any: pandas and csv ask for different types
    path = folder / "tables" / f"{name}.csv"
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield path, _Rows(file)
