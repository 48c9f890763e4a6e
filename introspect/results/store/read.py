"""How trials and responses are read in the order in which they were stored, a page of rows at a time.

In goes the store's function that reads the rows of a query; out come records. Between pages the file is free for the
writer, and what it adds meanwhile is read as well.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from introspect.records.canonical_json import OWN
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial, cell_from_json
from introspect.results.store import schema

Read = Callable[..., list[Any]]  # Any: a row's types depend on the SQL

PAGE = 2000
"""Trials read at once."""


def trials(read: Read) -> Iterator[Trial]:
    """Yield every trial."""
    sql = f"SELECT n, cell, id, {schema.TRIAL} FROM trials WHERE n > ? ORDER BY n LIMIT {PAGE}"
    for page in _pages(read, sql):
        cells = _cells(read, page)
        yield from (schema.trial_of_cell(cells[cell], trial_id, row) for _, cell, trial_id, *row in page)


def answers(read: Read, lacking: tuple[str, str] | None) -> Iterator[tuple[Trial, Response]]:
    """Yield every trial with its response, or those that lack a grade by (grader, version)."""
    missing = "AND NOT EXISTS (SELECT 1 FROM grades WHERE grades.n = trials.n AND grader = ? AND version = ?)"
    sql = f"""SELECT n, cell, id, {schema.TRIAL}, {schema.ANSWER} FROM trials JOIN responses USING (n)
        WHERE n > ? {missing if lacking else ""} ORDER BY n LIMIT {PAGE}"""
    for page in _pages(read, sql, *(lacking or ())):
        cells, ends = _cells(read, page), (page[0][0], page[-1][0])
        reads, measured = readouts(read, *ends), measures(read, *ends)
        for n, cell, trial_id, *row in page:
            trial = schema.trial_of_cell(cells[cell], trial_id, row[: len(OWN)])
            yield trial, schema.response_from_rows(trial.id, row[len(OWN) :], reads.get(n, ()), measured.get(n, ()))


def trials_that_begin(read: Read, prefix: str) -> list[Trial]:
    """Return the trials whose id begins so, two of them at the most."""
    start = prefix.lower()
    # "g" sorts after every hex digit: the ids between are those that begin so
    sql = f"SELECT id, json, {schema.TRIAL} FROM trials JOIN cells USING (cell) WHERE id >= ? AND id < ? LIMIT 2"
    found = read(sql, start, start + "g")
    return [schema.trial_of_cell(cell_from_json(cell), trial_id, row) for trial_id, cell, *row in found]


def response(read: Read, trial_id: str) -> Response | None:
    """Return the response to a trial; None where it has none."""
    found = read(f"SELECT n, {schema.ANSWER} FROM responses WHERE n = {schema.NUMBER}", trial_id)
    if not found:
        return None
    ((n, *row),) = found
    return schema.response_from_rows(trial_id, row, *(of(read, n, n).get(n, ()) for of in (readouts, measures)))


def why_not(read: Read, trial_id: str) -> str:
    """Say why a trial has no response."""
    found = read(f"SELECT message FROM errors WHERE n = {schema.NUMBER}", trial_id)
    return f"it failed: {found[0][0] if found else 'nothing is stored'}"


def grades(read: Read, trial_id: str) -> list[Grade]:
    """Return the grades of a trial, one a grader, sorted by grader."""
    rows = read(f"SELECT {schema.GRADE} FROM grades WHERE n = {schema.NUMBER}", trial_id)
    return [schema.grade_from_row(trial_id, row) for row in rows]


_Rows = dict[int, list[Sequence[Any]]]  # Any: numbers and text
"""Rows of a table, by the number of the trial."""


def readouts(read: Read, first: int, last: int) -> _Rows:
    """Return the rows of the read-outs of the trials with these numbers."""
    return _by_trial(read(f"SELECT n, {schema.READOUT} FROM readouts {_BETWEEN}, loop", first, last))


def measures(read: Read, first: int, last: int) -> _Rows:
    """Return the rows of what was measured at the sites in these trials."""
    return _by_trial(read(f"SELECT n, {schema.MEASURE} FROM measures {_BETWEEN}, name, loop, layer", first, last))


_BETWEEN = "WHERE n BETWEEN ? AND ? ORDER BY n"


def _by_trial(rows: list[Any]) -> _Rows:  # Any: as above
    return {n: [row[1:] for row in found] for n, found in groupby(rows, key=lambda row: row[0])}


def _pages(read: Read, sql: str, *values: schema.Value) -> Iterator[list[Any]]:
    """Read a query page by page, by the number in its first column, from which the next page goes on."""
    last = 0
    while page := read(sql, last, *values):
        yield page
        last = page[-1][0]


def _cells(read: Read, page: list[Any]) -> dict[int, dict[str, Any]]:  # Any: the fields of a cell
    wanted = json.dumps(list({cell for _, cell, *_ in page}))
    found = read("SELECT cell, json FROM cells WHERE cell IN (SELECT value FROM json_each(?))", wanted)
    return {cell: cell_from_json(text) for cell, text in found}
