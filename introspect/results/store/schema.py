"""The tables of `run.sqlite`, and how a record becomes their rows and is read from them again.

What the trials of a cell share is stored once, as flat columns for the tables and as JSON that gives it back exactly;
a trial is its number, its id and what tells it from its neighbours. Numbers follow the order of storing.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from introspect.records.canonical_json import OWN, cell_to_json
from introspect.records.response import Grade, Measure, Readout, Response
from introspect.records.trial import Trial

SCHEMA_VERSION = 4
"""Raised when a reader of the old schema could no longer read the new one."""
BEFORE = 3
"""The version that is still read, and brought up to date by the first who writes; it has no LATER columns."""
LATER = {"thinking": "TEXT NOT NULL DEFAULT ''", "cut": "TEXT NOT NULL DEFAULT ''"}
LATER |= {"echo": "INTEGER", "clean_logprob": "REAL"}
"""Columns of `responses` that came with version 4."""

Value = str | float | int | None
_Row = tuple[Value, ...]

SCHEMA = (
    "CREATE TABLE run (schema_version INTEGER NOT NULL, manifest TEXT NOT NULL)",
    """CREATE TABLE cells (
        cell INTEGER PRIMARY KEY, model TEXT, weights_hash TEXT, dtype TEXT, protocol TEXT, question TEXT,
        template TEXT, template_hash TEXT, arm TEXT, sites TEXT, loop INTEGER, layer INTEGER, extract_loop INTEGER,
        strength REAL, strength_unit TEXT, vectors_hash TEXT, n_loops INTEGER, temperature REAL, top_p REAL,
        max_new_tokens INTEGER, decided_by TEXT, json TEXT NOT NULL UNIQUE)""",
    # A seed may need all 64 bits unsigned, which an SQLite INTEGER cannot hold: it is kept as its digits.
    """CREATE TABLE trials (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, cell INTEGER NOT NULL REFERENCES cells(cell),
        concept TEXT NOT NULL, repeat INTEGER NOT NULL, seed TEXT NOT NULL, variables TEXT, options TEXT,
        expected TEXT, partner TEXT)""",
    "CREATE INDEX trials_by_cell ON trials(cell)",
    f"""CREATE TABLE responses (
        n INTEGER PRIMARY KEY REFERENCES trials(n), text TEXT NOT NULL, token_ids TEXT NOT NULL,
        finish_reason TEXT NOT NULL, vector_norm REAL, residual_norm REAL,
        {", ".join(f"{name} {kind}" for name, kind in LATER.items())})""",
    """CREATE TABLE readouts (
        n INTEGER NOT NULL REFERENCES responses(n), loop INTEGER NOT NULL, logit_yes REAL NOT NULL,
        logit_no REAL NOT NULL, mass REAL NOT NULL, entropy REAL NOT NULL, options TEXT, concept_rank INTEGER,
        PRIMARY KEY (n, loop)) WITHOUT ROWID""",
    """CREATE TABLE measures (
        n INTEGER NOT NULL REFERENCES responses(n), name TEXT NOT NULL, loop INTEGER NOT NULL, layer INTEGER NOT NULL,
        value REAL NOT NULL, PRIMARY KEY (n, name, loop, layer)) WITHOUT ROWID""",
    """CREATE TABLE grades (
        n INTEGER NOT NULL REFERENCES responses(n), grader TEXT NOT NULL, version TEXT NOT NULL,
        detected INTEGER, identified INTEGER, coherent INTEGER, refused INTEGER, evidence TEXT NOT NULL,
        answer TEXT, correct INTEGER, state TEXT NOT NULL, tokens INTEGER, PRIMARY KEY (n, grader)) WITHOUT ROWID""",
    "CREATE TABLE errors (n INTEGER PRIMARY KEY REFERENCES trials(n), message TEXT NOT NULL, at TEXT NOT NULL)",
)

UPDATE = (
    *(f"ALTER TABLE responses ADD COLUMN {name} {kind}" for name, kind in LATER.items()),
    f"UPDATE run SET schema_version = {SCHEMA_VERSION}",
)
"""What brings a run of the version BEFORE up to date."""
VIEW = """CREATE TEMP VIEW responses AS SELECT n, text, token_ids, finish_reason, vector_norm, residual_norm,
    '' AS thinking, '' AS cut, NULL AS echo, NULL AS clean_logprob FROM main.responses"""
"""What lets such a run be read as it stands: a view that hides the table of the same name."""

NUMBER = "(SELECT n FROM trials WHERE id = ?)"
"""The number of a trial, NULL when there is none; every table that refers to a trial refuses NULL."""
INSERT_RUN = "INSERT INTO run VALUES (?, ?)"
INSERT_CELL = f"INSERT INTO cells VALUES (NULL{', ?' * 21}) ON CONFLICT (json) DO NOTHING"
INSERT_TRIAL = f"INSERT INTO trials VALUES (NULL{', ?' * 9}) ON CONFLICT (id) DO NOTHING"
INSERT_RESPONSE = f"INSERT INTO responses VALUES (?{', ?' * 9})"
INSERT_READOUT = "INSERT INTO readouts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_MEASURE = "INSERT INTO measures VALUES (?, ?, ?, ?, ?)"
REPLACE_GRADE = f"INSERT OR REPLACE INTO grades VALUES ({NUMBER}{', ?' * 11})"
REPLACE_ERROR = f"INSERT OR REPLACE INTO errors VALUES ({NUMBER}, ?, ?)"

DONE = "SELECT id FROM responses CROSS JOIN trials USING (n)"
"""Ids of the trials with a response; the cross join keeps to the order of both tables, which is twice as fast."""

TRIAL = ", ".join(f"trials.{name}" for name in OWN)
"""Columns from which `trial_of_cell` makes a trial, with its cell."""
ANSWER = f"text, token_ids, finish_reason, vector_norm, residual_norm, {', '.join(LATER)}"
"""Columns from which `response_from_rows` makes a response, with its read-outs."""
READOUT = "loop, logit_yes, logit_no, mass, entropy, options, concept_rank"
MEASURE = "name, loop, layer, value"
GRADE = "grader, version, detected, identified, coherent, refused, evidence, answer, correct, state, tokens"


def cell_row(trial: Trial) -> _Row:
    """Flatten what a trial shares with its cell; `loop` and `layer` are None for several, or outside of the loops."""
    sampling = trial.sampling
    return (
        *(trial.model, trial.weights_hash, trial.dtype, trial.protocol, trial.question, trial.template),
        *(trial.template_hash, trial.arm, *_injection_columns(trial), trial.n_loops),
        *(sampling.temperature, sampling.top_p, sampling.max_new_tokens, sampling.decided_by, cell_to_json(trial)),
    )


def trial_row(trial: Trial, cell: int) -> _Row:
    """Flatten what tells a trial from the others of its cell."""
    variables = json.dumps(dict(trial.variables)) if trial.variables else None
    options = json.dumps(trial.options) if trial.options else None
    own = (trial.concept, trial.repeat, str(trial.seed), variables, options, trial.expected, trial.partner)
    return (trial.id, cell, *own)


def trial_of_cell(cell: dict[str, Any], trial_id: str, row: Sequence[Any]) -> Trial:  # Any: fields; a row's columns
    """Read a trial written by `trial_row`, of a cell that `cell_from_json` has read.

    Raises ValueError for one that is not what its id says, which is the hash of all its fields.
    """
    own = dict(zip(OWN, row, strict=True))
    variables = tuple(sorted(json.loads(own["variables"] or "{}").items()))
    options = tuple(json.loads(own["options"] or "[]"))
    made = Trial(**{**cell, **own, "seed": int(own["seed"]), "variables": variables, "options": options})
    if made.id != trial_id:
        raise ValueError(f"trial {trial_id} was changed since it was stored: its fields have the hash {made.id}")
    return made


def response_row(n: int, response: Response) -> _Row:
    """Flatten a response. Raises ValueError for a number that is not finite, which SQLite would take for missing."""
    norms = (response.vector_norm, response.residual_norm)
    _refuse_not_finite(number for number in (*norms, response.clean_logprob) if number is not None)
    tokens = ",".join(map(str, response.token_ids))
    later = (response.thinking, response.cut, response.echo, response.clean_logprob)
    return (n, response.text, f"[{tokens}]", response.finish_reason, *norms, *later)


def readout_rows(n: int, response: Response) -> list[_Row]:
    """Flatten the read-outs of a response, one row a loop. Raises ValueError as `response_row` does."""
    rows = [(n, read.loop, read.logit_yes, read.logit_no, read.mass, read.entropy) for read in response.readouts]
    _refuse_not_finite(chain(*rows, *(read.options for read in response.readouts)))
    ends = [(json.dumps(read.options) if read.options else None, read.concept_rank) for read in response.readouts]
    return [(*row, *end) for row, end in zip(rows, ends, strict=True)]


def measure_rows(n: int, response: Response) -> list[_Row]:
    """Flatten what was measured at the sites. Raises ValueError as `response_row` does."""
    _refuse_not_finite(measure.value for measure in response.measures)
    return [(n, measure.name, measure.loop, measure.layer, measure.value) for measure in response.measures]


def response_from_rows(
    trial_id: str, row: Sequence[Any], readouts: Iterable[Sequence[Any]], measures: Iterable[Sequence[Any]]
) -> Response:
    """Read a response from its own row and those of other tables. Any: a row's types depend on the column."""
    text, tokens, finish_reason, vector, residual, *later = row
    reads = tuple(map(_readout, readouts))
    measured = tuple(Measure(*one) for one in measures)
    said = (text, tuple(json.loads(tokens)), finish_reason)
    return Response(trial_id, *said, reads, vector, residual, measured, *later)


def _readout(row: Sequence[Any]) -> Readout:  # Any: as above
    loop, yes, no, mass, entropy, options, rank = row
    return Readout(loop, yes, no, mass, entropy, tuple(json.loads(options or "[]")), rank)


def grade_row(grade: Grade) -> _Row:
    """Flatten a grade; an unknown verdict is None."""
    verdicts = (grade.detected, grade.identified, grade.coherent, grade.refused)
    rest = (grade.evidence, grade.answer, grade.correct, grade.state, grade.tokens)
    return (grade.trial_id, grade.grader, grade.version, *verdicts, *rest)


def grade_from_row(trial_id: str, row: Sequence[Any]) -> Grade:  # Any: names, numbers and text
    """Read a grade written by `grade_row`."""
    grader, version, *verdicts, evidence, answer, correct, state, tokens = row
    detected, identified, coherent, refused = map(_bool, verdicts)
    found = Grade(trial_id, grader, version, detected, identified, coherent, refused, evidence)
    return replace(found, answer=answer, correct=_bool(correct), state=state, tokens=tokens)


def _bool(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _injection_columns(trial: Trial) -> _Row:
    injection = trial.injection
    if injection is None:
        return (None,) * 7
    sites = injection.sites
    looped = all(site.stage == "core" for site in sites)
    loops, layers = {site.loop for site in sites}, {site.layer for site in sites}
    return (
        ",".join(map(str, sites)),
        loops.pop() if looped and len(loops) == 1 else None,
        layers.pop() if looped and len(layers) == 1 else None,
        *(injection.extract_loop, injection.strength, injection.unit, injection.vectors_hash),
    )


def _refuse_not_finite(numbers: Iterable[float]) -> None:
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a response holds a number that is not finite, which cannot be stored")
