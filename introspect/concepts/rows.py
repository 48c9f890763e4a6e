"""CSV files of concepts, shipped or the user's own: every row checked, every error with its file and line.

Goes in: a name or a path, and the columns that must be there. Comes out: the rows.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from introspect.errors import InputError, unknown
from introspect.letters import one_spelling

SUFFIX = ".csv"


@dataclass(frozen=True)
class _Row:
    """One line of a CSV file."""

    line: int
    """Counted from 1, the header included."""
    fields: dict[str, str]


@dataclass(frozen=True)
class _Table:
    """A CSV file with the columns that were asked for."""

    name: str
    """Name of the shipped file, or of the user's without its suffix."""
    path: str
    rows: tuple[_Row, ...]

    def error(self, row: _Row, what: str) -> InputError:
        """Make the error for what is wrong in a row."""
        return InputError(f"{self.path}, line {row.line}: {what}")


def read_table(name_or_path: str | Path, columns: Sequence[str], *, kind: str, shipped: Sequence[str]) -> _Table:
    """Read a shipped file by its name, or the user's by its path; no field of `columns` may be empty."""
    path = _located(str(name_or_path), kind, shipped)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{kind} {str(path)!r} cannot be read: {error.strerror}; give a .csv file") from None
    table = _Table(path.name.removesuffix(SUFFIX), str(path), tuple(_rows(str(path), text, columns)))
    if not table.rows:
        raise InputError(f"{path} has no rows; it needs a header {','.join(columns)} and a row for each")
    for row in table.rows:
        for column in columns:
            if not row.fields[column]:
                raise table.error(row, f"empty {column}")
    return table


def _located(name: str, kind: str, shipped: Sequence[str]) -> Path | Traversable:
    if name.endswith(SUFFIX) or "/" in name or "\\" in name:
        return Path(name)
    if name not in shipped:
        raise unknown(kind, name, [*shipped, f"or the path of a {SUFFIX} file"])
    return files("introspect.concepts") / "data" / f"{name}{SUFFIX}"


def _rows(path: str, text: str, columns: Sequence[str]) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            stripped = [cell.strip() for cell in cells]
            if not header:
                header = _header(path, stripped, columns)
            elif len(stripped) != len(header):
                found = f"{len(stripped)} fields instead of {len(header)} ({','.join(header)})"
                raise InputError(f"{path}, line {reader.line_num}: {found}; put text that holds a comma in quotes")
            else:
                yield _Row(reader.line_num, dict(zip(header, map(one_spelling, stripped), strict=True)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from None


def _header(path: str, header: list[str], columns: Sequence[str]) -> list[str]:
    missing = [column for column in columns if column not in header]
    if missing:
        found = ",".join(header)
        raise InputError(f"{path}, line 1: no column {missing[0]!r} in {found!r}; needed: {','.join(columns)}")
    return header
