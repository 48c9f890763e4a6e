"""What the tables read from `run.sqlite`. Only trials.csv needs the answers; all else reads narrow columns."""

VERDICTS = ("detected", "identified", "coherent", "refused", "correct")
MEASURES = ("detected", "identified", "both", "coherent", "refused", "correct")
"""What rates are given of; `both` is detected and identified."""

CELL_COLUMNS = (
    *("model", "weights_hash", "dtype", "protocol", "question", "template", "template_hash"),
    *("arm", "sites", "loop", "layer"),
    *("extract_loop", "strength", "strength_unit", "vectors_hash", "n_loops"),
    *("temperature", "top_p", "max_new_tokens", "decided_by"),
)
CELLS = f"SELECT cell, {', '.join(CELL_COLUMNS)} FROM cells"

GRADERS = "SELECT DISTINCT grader FROM grades ORDER BY grader"
VERSIONS = "SELECT DISTINCT version FROM grades WHERE grader = ?"

ALIKE = f"""SELECT cell, concept, CASE WHEN responses.n IS NULL THEN 'error' ELSE 'done' END,
    {", ".join(VERDICTS)}, count(*)
    FROM trials LEFT JOIN responses USING (n) LEFT JOIN grades ON grades.n = trials.n AND grader = ?
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""
"""How many trials are alike in cell, concept, state and verdicts."""

UNITS = "SELECT n, cell, concept FROM trials ORDER BY id"
DIFFERENCES = "SELECT n, loop, logit_yes - logit_no FROM readouts"

TRIAL_COLUMNS = (
    *("trial", "model", "weights_hash", "dtype", "protocol", "question", "template", "template_hash", "concept"),
    *("arm", "partner", "options", "expected", "sites"),
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
        "vector_norm",
        "residual_norm",
    ),
    *("relative_norm", "error"),
)
SPELLED = {
    "trial": "id",
    "state": "CASE WHEN responses.n IS NULL THEN 'error' ELSE 'done' END",
    # SQLite has no infinity but a number too large, and gives NULL for a division by 0
    "relative_norm": "CASE WHEN residual_norm = 0 AND vector_norm > 0 THEN 9e999 ELSE vector_norm / residual_norm END",
    "error": "message",
}
"""Columns that are not one of the database."""


GRADE_COLUMNS = ("version", *VERDICTS, "answer", "state", "tokens", "evidence")
"""What trials.csv gives of each grader, as `{grader}_{column}`."""


def grade_columns(grader: str) -> list[str]:
    """Name the columns of a grader."""
    return [f"{grader}_{column}" for column in GRADE_COLUMNS]


def trials_of_cells(n_graders: int) -> str:
    """Write the query for the rows of trials.csv; it takes the names of the graders and the cells as a JSON list.

    Verdicts are spelled True and False. The rows come by concept, repeat and id.
    """
    columns = [SPELLED.get(name, name) for name in TRIAL_COLUMNS]
    joins = []
    for rank in range(n_graders):
        said = {verdict: _said(f"g{rank}.{verdict}") for verdict in VERDICTS}
        columns += [said.get(column, f"g{rank}.{column}") for column in GRADE_COLUMNS]
        joins.append(f"LEFT JOIN grades AS g{rank} ON g{rank}.n = trials.n AND g{rank}.grader = ?")
    return f"""SELECT {", ".join(columns)} FROM trials JOIN cells USING (cell) LEFT JOIN responses USING (n)
        LEFT JOIN errors USING (n) {" ".join(joins)}
        WHERE trials.cell IN (SELECT value FROM json_each(?)) ORDER BY concept, repeat, id"""


def _said(verdict: str) -> str:
    return f"CASE {verdict} WHEN 1 THEN 'True' WHEN 0 THEN 'False' END"


NARROW = ("concept", "repeat", "expected", "options", "partner")
NARROW_TRIALS = f"""SELECT trials.n, cell, {", ".join(NARROW)}, {SPELLED["state"]}
    FROM trials LEFT JOIN responses USING (n) ORDER BY id"""
LAST_READOUTS = """SELECT n, logit_yes - logit_no, mass, concept_rank FROM readouts AS r
    WHERE loop = (SELECT max(loop) FROM readouts WHERE n = r.n)"""
FIRST_YES = "SELECT n, min(loop) FROM readouts WHERE logit_yes > logit_no GROUP BY n"
VERDICTS_OF = f"SELECT n, {', '.join(VERDICTS)}, answer, tokens FROM grades WHERE grader = ?"
"""What the statistics read: no text but the answers in their normal form."""
