"""The tables of `run.sqlite`, and how a record becomes their rows: flat columns beside the record's full JSON.

Tables and figures read the flat columns; the JSON gives a record back exactly as it was.
"""

from introspect.records import Grade, Response, Trial, to_json

SCHEMA_VERSION = 1
"""Raised when a reader of the old schema could no longer read the new one."""

Value = str | float | int | None
Row = tuple[Value, ...]

TABLES = (
    "CREATE TABLE run (schema_version INTEGER NOT NULL, manifest TEXT NOT NULL)",
    # A seed may need all 64 bits unsigned, which an SQLite INTEGER cannot hold: it is kept as its digits.
    """CREATE TABLE trials (
        id TEXT PRIMARY KEY, model TEXT, weights_hash TEXT, dtype TEXT, protocol TEXT, template TEXT,
        template_hash TEXT, concept TEXT, arm TEXT, sites TEXT, loop INTEGER, layer INTEGER, extract_loop INTEGER,
        strength REAL, strength_unit TEXT, vectors_hash TEXT, n_loops INTEGER, repeat INTEGER, seed TEXT,
        temperature REAL, top_p REAL, max_new_tokens INTEGER, json TEXT NOT NULL)""",
    """CREATE TABLE responses (
        trial_id TEXT PRIMARY KEY REFERENCES trials(id), text TEXT NOT NULL, finish_reason TEXT NOT NULL,
        vector_norm REAL, residual_norm REAL, json TEXT NOT NULL)""",
    """CREATE TABLE readouts (
        trial_id TEXT NOT NULL REFERENCES responses(trial_id), loop INTEGER NOT NULL, logit_yes REAL NOT NULL,
        logit_no REAL NOT NULL, mass REAL NOT NULL, entropy REAL NOT NULL,
        PRIMARY KEY (trial_id, loop)) WITHOUT ROWID""",
    """CREATE TABLE grades (
        trial_id TEXT NOT NULL REFERENCES responses(trial_id), grader TEXT NOT NULL, version TEXT NOT NULL,
        detected INTEGER, identified INTEGER, coherent INTEGER, refused INTEGER, evidence TEXT NOT NULL,
        PRIMARY KEY (trial_id, grader)) WITHOUT ROWID""",
    "CREATE TABLE errors (trial_id TEXT PRIMARY KEY REFERENCES trials(id), message TEXT NOT NULL, at TEXT NOT NULL)",
)

FRAMES = {
    "trials": """SELECT id AS trial, model, weights_hash, dtype, protocol, template, template_hash, concept, arm, sites,
        loop, layer, extract_loop, strength, strength_unit, vectors_hash, n_loops, repeat, seed, temperature, top_p,
        max_new_tokens, CASE WHEN responses.trial_id IS NULL THEN 'error' ELSE 'done' END AS state, text,
        finish_reason, vector_norm, residual_norm, message AS error
        FROM trials LEFT JOIN responses ON responses.trial_id = id LEFT JOIN errors ON errors.trial_id = id""",
    "readouts": "SELECT trial_id AS trial, loop AS readout_loop, logit_yes, logit_no, mass, entropy FROM readouts",
    "grades": """SELECT trial_id AS trial, grader, version, detected, identified, coherent, refused, evidence
        FROM grades""",
}
"""What `Store.frame` can read; a trial without a response is in the state `error`."""


def insert(table: str, n_columns: int, *, replace: bool = False) -> str:
    """Write the SQL that adds one row to `table`."""
    return f"INSERT {'OR REPLACE ' if replace else ''}INTO {table} VALUES ({', '.join('?' * n_columns)})"


def trial_row(trial: Trial) -> Row:
    """Flatten a trial; `loop` and `layer` are None where its sites have several, and without an injection."""
    sampling = trial.sampling
    return (
        *(trial.id, trial.model, trial.weights_hash, trial.dtype, trial.protocol, trial.template),
        *(trial.template_hash, trial.concept, trial.arm, *_injection_columns(trial)),
        *(trial.n_loops, trial.repeat, str(trial.seed)),
        *(sampling.temperature, sampling.top_p, sampling.max_new_tokens, to_json(trial)),
    )


def response_row(response: Response) -> Row:
    """Flatten a response."""
    norms = (response.vector_norm, response.residual_norm)
    return (response.trial_id, response.text, response.finish_reason, *norms, to_json(response))


def readout_rows(response: Response) -> list[Row]:
    """Flatten the read-outs of a response, one row a loop."""
    return [
        (response.trial_id, read.loop, read.logit_yes, read.logit_no, read.mass, read.entropy)
        for read in response.readouts
    ]


def grade_row(grade: Grade) -> Row:
    """Flatten a grade; an unknown verdict is None."""
    verdicts = (grade.detected, grade.identified, grade.coherent, grade.refused)
    return (grade.trial_id, grade.grader, grade.version, *verdicts, grade.evidence)


def grade_from_row(row: tuple[str, str, str, int | None, int | None, int | None, int | None, str]) -> Grade:
    """Read a grade written by `grade_row`."""
    trial_id, grader, version, *verdicts, evidence = row
    detected, identified, coherent, refused = (None if value is None else bool(value) for value in verdicts)
    return Grade(trial_id, grader, version, detected, identified, coherent, refused, evidence)


def _injection_columns(trial: Trial) -> Row:
    injection = trial.injection
    if injection is None:
        return (None,) * 7
    loops, layers = {site.loop for site in injection.sites}, {site.layer for site in injection.sites}
    return (
        ",".join(str(site) for site in injection.sites),
        loops.pop() if len(loops) == 1 else None,
        layers.pop() if len(layers) == 1 else None,
        *(injection.extract_loop, injection.strength, injection.unit, injection.vectors_hash),
    )
