"""What the tables read from `run.sqlite`. Only trials.csv needs the answers; all else reads narrow columns."""

from introspect.records.response import WHOLE_WORDS

VERDICTS = ("detected", "identified", "coherent", "refused", "correct")
MEASURES = ("detected", "identified", "both", "coherent", "coherent_by_model", "refused", "correct")
"""What rates are given of; `both` is detected and identified."""

CELL_COLUMNS = (
    *("model", "weights_hash", "dtype", "protocol", "question", "template", "template_hash"),
    *("arm", "sites", "loop", "layer"),
    *("extract_loop", "strength", "strength_unit", "vectors_hash", "n_loops"),
    *("temperature", "top_p", "max_new_tokens", "decided_by"),
)
CELLS = f"SELECT cell, {', '.join(CELL_COLUMNS)} FROM cells"

GRADER_NAMES = "SELECT DISTINCT grader FROM grades ORDER BY grader"
VERSIONS = "SELECT DISTINCT version FROM grades WHERE grader = ?"

CLEAN_OF_NONE = """SELECT trials.cell, clean_logprob FROM responses JOIN trials USING (n)
    WHERE clean_logprob IS NOT NULL AND trials.cell IN (SELECT cell FROM cells WHERE arm = 'none')"""
FLOORS = "WITH floors AS MATERIALIZED (SELECT CAST(key AS INTEGER) AS cell, value AS floor FROM json_each(?))"
"""The floors of cells, from a JSON object: the first parameter of a query that begins with this."""
WITH_FLOOR = "LEFT JOIN floors ON floors.cell = trials.cell"
COHERENT_BY_MODEL = "clean_logprob >= floor"
"""1, 0, or NULL where either is missing."""

IS_UNREACHABLE = "message LIKE 'trial %: unreachable dose: %'"
STATE = f"CASE WHEN responses.n IS NOT NULL THEN 'done' WHEN {IS_UNREACHABLE} THEN 'unreachable' ELSE 'error' END"
"""What became of a trial; no dose in nats was found for one that is unreachable."""

ALIKE = f"""{FLOORS} SELECT trials.cell, concept, {STATE},
    {", ".join(VERDICTS)}, {COHERENT_BY_MODEL}, count(*) FROM trials LEFT JOIN responses USING (n) LEFT JOIN errors
    USING (n) LEFT JOIN grades ON grades.n = trials.n AND grader = ? {WITH_FLOOR} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"""
"""How many trials are alike in cell, concept, state and verdicts."""

PARTNER = "SELECT partner FROM trials JOIN cells USING (cell) WHERE arm = ? AND concept = ? LIMIT 1"
CONCEPTS = "SELECT DISTINCT concept FROM trials ORDER BY concept"
UNITS_OF_TRIALS = "SELECT n, cell, concept FROM trials"
DIFFERENCES = "SELECT n, loop, logit_yes - logit_no FROM readouts"

TRIAL_COLUMNS = (
    *("trial", "model", "weights_hash", "dtype", "protocol", "question", "template", "template_hash", "concept"),
    *("arm", "partner", "options", "options_read", "expected", "sites"),
    *("loop", "layer", "extract_loop", "strength", "strength_unit", "vectors_hash", "n_loops", "repeat", "seed"),
    *(
        "temperature",
        "top_p",
        "max_new_tokens",
        "decided_by",
        "state",
        "text",
        "finish_reason",
        "thinking",
        "cut",
        "echo",
        "clean_logprob",
        "coherent_by_model",
        "vector_norm",
        "residual_norm",
    ),
    *("relative_norm", "multiplier", "error"),
)
SPELLED = {
    "trial": "id",
    "state": STATE,
    "multiplier": "(SELECT value FROM measures WHERE measures.n = trials.n AND name = 'multiplier')",
    # SQLite has no infinity but a number too large, and gives NULL for a division by 0
    "relative_norm": "CASE WHEN residual_norm = 0 AND vector_norm > 0 THEN 9e999 ELSE vector_norm / residual_norm END",
    "options_read": f"""CASE WHEN options IS NULL OR responses.n IS NULL THEN NULL
        WHEN EXISTS (SELECT 1 FROM measures WHERE measures.n = trials.n AND name = '{WHOLE_WORDS}')
        THEN 'whole words' ELSE 'first tokens' END""",
    "error": "message",
    "coherent_by_model": f"CASE {COHERENT_BY_MODEL} WHEN 1 THEN 'True' WHEN 0 THEN 'False' END",
}
"""Columns that are not one of the database."""


GRADE_COLUMNS = ("version", *VERDICTS, "answer", "state", "tokens", "evidence")
"""What trials.csv gives of each grader, as `{grader}_{column}`."""


def grade_columns(grader: str) -> list[str]:
    """Name the columns of a grader."""
    return [f"{grader}_{column}" for column in GRADE_COLUMNS]


def trials_of_cells(n_graders: int) -> str:
    """Write the query for the rows of trials.csv; it takes floors, names of the graders, and cells as a JSON list.

    Verdicts are spelled True and False. The rows come by concept, repeat and id.
    """
    columns = [SPELLED.get(name, name) for name in TRIAL_COLUMNS]
    joins = []
    for rank in range(n_graders):
        said = {verdict: _said(f"g{rank}.{verdict}") for verdict in VERDICTS}
        columns += [said.get(column, f"g{rank}.{column}") for column in GRADE_COLUMNS]
        joins.append(f"LEFT JOIN grades AS g{rank} ON g{rank}.n = trials.n AND g{rank}.grader = ?")
    return f"""{FLOORS} SELECT {", ".join(columns)}
        FROM trials JOIN cells ON cells.cell = trials.cell LEFT JOIN responses USING (n)
        LEFT JOIN errors USING (n) {" ".join(joins)} {WITH_FLOOR}
        WHERE trials.cell IN (SELECT value FROM json_each(?)) ORDER BY concept, repeat, id"""


def _said(verdict: str) -> str:
    return f"CASE {verdict} WHEN 1 THEN 'True' WHEN 0 THEN 'False' END"


NARROW = ("concept", "repeat", "expected", "options", "partner", "variables")
NARROW_TRIALS = f"""{FLOORS} SELECT trials.n, trials.cell, {", ".join(NARROW)}, {SPELLED["state"]}, {COHERENT_BY_MODEL}
    FROM trials LEFT JOIN responses USING (n) LEFT JOIN errors USING (n) {WITH_FLOOR}
    WHERE trials.{{within}} ORDER BY id"""
LAST_READOUTS = """SELECT n, logit_yes - logit_no, mass, entropy, concept_rank FROM readouts AS r
    WHERE loop = (SELECT max(loop) FROM readouts WHERE n = r.n) AND {within}"""
CLEAN_OPTIONS = """SELECT r.n, r.options FROM readouts AS r JOIN trials USING (n) JOIN cells USING (cell)
    WHERE arm = 'none' AND r.options IS NOT NULL AND r.loop = (SELECT max(loop) FROM readouts WHERE n = r.n)
    AND r.{within}"""
FIRST_YES = "SELECT n, min(loop) FROM readouts WHERE logit_yes > logit_no AND {within} GROUP BY n"
VERDICTS_OF = f"SELECT n, {', '.join(VERDICTS)}, answer, tokens FROM grades WHERE grader = ? AND {{within}}"
"""What the statistics read: no text but the answers in their normal form. `within` says of which trials."""
EVERY_TRIAL = "n IS NOT NULL"
OF_CELLS = "n IN (SELECT n FROM trials WHERE cell IN ({cells}))"
"""For `within`: all trials, or those of cells that are listed by their numbers."""
