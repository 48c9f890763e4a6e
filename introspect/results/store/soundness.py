"""Whether a `run.sqlite` from elsewhere is what this program writes: its tables, the types in them, ids against hashes.

Takes an open database. Returns nothing, or raises InputError naming the file and the first thing that is wrong.
SQLite keeps any value in any column, so that types are asked for here, once, before rows are read.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from introspect.errors import InputError
from introspect.records.trial import ARMS, STRENGTH_UNITS, Trial, cell_from_json
from introspect.results.store import schema
from introspect.results.store.connection import UNREADABLE

STORAGE = {"TEXT": "text", "INTEGER": "integer", "REAL": "real"}
"""How SQLite calls what a column of a type holds."""
JSON = {
    "cells": {"json": "object"},
    "trials": {"variables": "object", "options": "array"},
    "responses": {"token_ids": "array"},
    "readouts": {"options": "array"},
}
"""Columns that hold JSON, and what it must be."""
_CHOICES = {"cells": {"arm": ARMS, "strength_unit": STRENGTH_UNITS}}
_VERDICTS = ("detected", "identified", "coherent", "refused", "correct")
ORPHANS = "SELECT count(*) FROM trials WHERE n NOT IN (SELECT n FROM responses UNION SELECT n FROM errors)"
BOTH = "SELECT count(*) FROM responses JOIN errors USING (n)"
Columns = dict[str, tuple[str, bool]]
"""Type and whether a value must be there, by the name of a column."""


@cache
def schema_columns() -> dict[str, Columns]:
    """Return the columns of every table, as SQLite itself reads the schema."""
    with closing(sqlite3.connect(":memory:")) as empty:
        for statement in schema.SCHEMA:
            empty.execute(statement)
        names = [name for (name,) in empty.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: _columns(empty, name) for name in names}


def check_shape(database: sqlite3.Connection, path: Path) -> None:
    """Raise InputError unless every table is there with all its columns."""
    for name, columns in schema_columns().items():
        there = _columns(database, name)
        if not there:
            raise _damaged(path, f"has no table {name!r}")
        if missing := [column for column in columns if column not in there]:
            raise _damaged(path, f"table {name!r} has no column {missing[0]!r}")


def check_rows(database: sqlite3.Connection, path: Path, trial: int | None = None, *, hashed: bool = True) -> None:
    """Raise InputError for a value of the wrong type, and for a trial or a cell that was changed since it was stored.

    This reads every row once, or the rows of the trial with a number; a trial's id is the hash of what it says, and is
    taken for granted unless `hashed`.
    """
    for name, columns in schema_columns().items():
        if trial is None or "n" in columns:
            for row, column in database.execute(_faults(name, trial)):
                raise _damaged(path, f"column {column!r} of table {name!r} holds {_shown(database, name, column, row)}")
    if trial is not None:
        return
    for table, row, parent, _ in database.execute("PRAGMA foreign_key_check"):
        raise _damaged(path, f"row {row} of table {table!r} refers to a row of {parent!r} that is not there")
    for what in _changed(database) if hashed else ():
        raise _damaged(path, what)


def check_whole(database: sqlite3.Connection, path: Path) -> None:
    """Raise InputError for what SQLite's own checks find, and for trials that have no outcome, or two."""
    for (said,) in database.execute("PRAGMA integrity_check(1)"):
        if said != "ok":
            raise _damaged(path, f"SQLite's integrity check says: {said}")
    for name in schema_columns():
        for _ in database.execute(f"SELECT * FROM {name}"):
            pass  # reading it is what finds text that is not UTF-8
    for sql, which in ((ORPHANS, "neither a response nor an error"), (BOTH, "both a response and an error")):
        ((count,),) = database.execute(sql)
        if count:
            raise _damaged(path, f"{count} trials have {which}")


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path}: {what}; the file is damaged or was changed: restore it, or run the sweep again")


def _columns(database: sqlite3.Connection, table: str) -> Columns:
    """Read the columns of a table; none where there is no such table."""
    found = database.execute('SELECT name, type, "notnull" FROM pragma_table_info(?)', (table,))
    return {name: (kind, bool(needed)) for name, kind, needed in found}


def _faults(table: str, trial: int | None) -> str:
    """Write the query for the first row of a table (or of one trial) with a value of the wrong type, and the column."""
    conditions = [
        f"WHEN typeof({name}) NOT IN ({_listed([STORAGE[kind], *([] if needed else ['null'])])}) THEN '{name}'"
        for name, (kind, needed) in schema_columns()[table].items()
    ]
    for name, kind in JSON.get(table, {}).items():
        broken = f"CASE WHEN json_valid({name}) THEN json_type({name}) <> '{kind}' ELSE 1 END"
        conditions.append(f"WHEN {name} IS NOT NULL AND {broken} THEN '{name}'")
    for name, allowed in _CHOICES.get(table, {}).items():
        conditions.append(f"WHEN {name} NOT IN ({_listed(allowed)}) THEN '{name}'")
    if table == "grades":
        conditions += [f"WHEN {name} NOT IN (0, 1) THEN '{name}'" for name in _VERDICTS]
    if table == "trials":
        conditions.append("WHEN seed = '' OR ltrim(seed, '-') GLOB '*[^0-9]*' THEN 'seed'")
    key = next(iter(schema_columns()[table]))
    return f"""SELECT * FROM (SELECT {key}, CASE {" ".join(conditions)} END AS fault FROM {table}
        {"" if trial is None else f"WHERE n = {trial:d}"})
        WHERE fault IS NOT NULL LIMIT 1"""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _shown(database: sqlite3.Connection, table: str, column: str, row: object) -> str:
    """Say what stands there, as SQL writes it, and in which row."""
    key = next(iter(schema_columns()[table]))
    sql = f"SELECT typeof({column}), substr(quote({column}), 1, 40) FROM {table} WHERE {key} = ?"
    kind, value = database.execute(sql, (row,)).fetchone()
    return f"{value} ({kind}) where {key} is {row}"


def _changed(database: sqlite3.Connection) -> Iterator[str]:
    """Tell which cells do not say in columns what they say in JSON, and which trials are not what their ids say."""
    cells: dict[int, dict[str, Any]] = {}  # Any: the fields of a cell
    for number, *flat, text in database.execute("SELECT * FROM cells"):
        try:
            cells[number] = cell_from_json(text)
            same = schema.cell_row(Trial(**cells[number], concept="", repeat=0, seed=0)) == (*flat, text)
        except UNREADABLE:
            same = False
        if not same:
            yield f"cell {number} of table 'cells' does not say the same in its columns and in its JSON"
    for trial_id, cell, *row in database.execute(f"SELECT id, cell, {schema.TRIAL} FROM trials"):
        try:
            schema.trial_of_cell(cells[cell], trial_id, row)
        except UNREADABLE:
            yield f"trial {trial_id} is not what its id says, which is the hash of all its fields"
