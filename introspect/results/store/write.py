"""How a batch is written, inside a transaction that the store has begun: many rows a statement.

In go a connection and records. Numbers of trials and cells are asked of the database, so a batch that was rolled back
leaves nothing behind in memory either.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from introspect.records.canonical_json import cell_to_json
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial
from introspect.results.store import schema
from introspect.results.store.connection import StoreError


def _numbers(database: sqlite3.Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return the numbers of those trials that are stored."""
    found = database.execute(
        "SELECT id, n FROM trials WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
    )
    return dict(found.fetchall())


def answered(database: sqlite3.Connection, ids: Iterable[str]) -> set[str]:
    """Return those of the ids that have a response."""
    found = database.execute(
        "SELECT id FROM trials JOIN responses USING (n) WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {trial_id for (trial_id,) in found}


def new_of(
    answered: Iterable[tuple[Trial, Response]], known: Mapping[str, Response], path: Path
) -> list[tuple[Trial, Response]]:
    """Leave out what is `known`, or here twice; raise StoreError where it comes with another response."""
    seen, new = dict(known), []
    for trial, response in answered:
        assert response.trial_id == trial.id, f"the response is to {response.trial_id}, the trial is {trial.id}"
        if trial.id not in seen:
            new.append((trial, response))
        if seen.setdefault(trial.id, response) != response:
            raise StoreError(f"{path}: trial {trial.id} is stored with another response; nothing was changed")
    return new


def put_trials(database: sqlite3.Connection, trials: Sequence[Trial]) -> dict[str, int]:
    """Add the trials that are not there yet, in order; give the numbers of all."""
    of = [cell_to_json(trial) for trial in trials]
    cells = dict(zip(of, trials, strict=True))
    database.executemany(schema.INSERT_CELL, map(schema.cell_row, cells.values()))
    number = {cell: database.execute("SELECT cell FROM cells WHERE json = ?", (cell,)).fetchone()[0] for cell in cells}
    rows = (schema.trial_row(trial, number[cell]) for trial, cell in zip(trials, of, strict=True))
    database.executemany(schema.INSERT_TRIAL, rows)
    return _numbers(database, (trial.id for trial in trials))


def put_responses(database: sqlite3.Connection, answers: Sequence[tuple[Trial, Response]]) -> None:
    """Add responses to trials that have none, the trials as well; what failed before is done then."""
    n = put_trials(database, [trial for trial, _ in answers])
    responses = [(n[trial.id], response) for trial, response in answers]
    database.executemany("DELETE FROM errors WHERE n = ?", ((number,) for number, _ in responses))
    database.executemany(schema.INSERT_RESPONSE, (schema.response_row(*one) for one in responses))
    database.executemany(schema.INSERT_READOUT, (row for one in responses for row in schema.readout_rows(*one)))
    database.executemany(schema.INSERT_MEASURE, (row for one in responses for row in schema.measure_rows(*one)))


def put_errors(database: sqlite3.Connection, failed: Sequence[tuple[Trial, str]], at: str) -> None:
    """Add trials that failed, or replace the message of those that failed before."""
    put_trials(database, [trial for trial, _ in failed])
    database.executemany(schema.REPLACE_ERROR, ((trial.id, message, at) for trial, message in failed))


def put_grades(database: sqlite3.Connection, grades: Iterable[Grade]) -> int:
    """Add grades, or replace those of the same grader; give how many."""
    return database.executemany(schema.REPLACE_GRADE, map(schema.grade_row, grades)).rowcount
