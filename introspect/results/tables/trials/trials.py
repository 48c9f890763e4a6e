"""The rows of a run, one a trial, and the counts of those that are alike. In goes a store, out come rows and frames.

Rows come in an order that does not depend on when a trial ran, cell by cell, so that no more than a cell is in memory.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pandas as pd

from introspect.protocols import question_named
from introspect.records.trial import ARMS, Gate
from introspect.results.store import queries
from introspect.results.store.queries import MEASURES, VERDICTS
from introspect.results.store.store import Store
from introspect.results.tables.trials.fluency import COLUMN, as_parameter, floors, gated

CELL_ORDER = ["arm", "loop", "layer", "strength", "sites", "extract_loop", "n_loops", "template"]
"""Order of the cells; inside one, and in those that do not differ in these, trials come by concept, repeat and id."""

_CHUNK = 20_000
"""Rows made into a frame at once."""

TYPES = {
    **dict.fromkeys(("loop", "layer", "extract_loop", "n_loops", "repeat", "max_new_tokens"), "Int64"),
    **dict.fromkeys(("strength", "temperature", "top_p", "vector_norm", "residual_norm", "relative_norm"), "float64"),
    "multiplier": "float64",
    **{"echo": "Int64", "clean_logprob": "float64"},
    **dict.fromkeys(("trial", "model", "weights_hash", "dtype", "protocol", "question", "template"), "str"),
    **dict.fromkeys(("template_hash", "partner", "options", "options_read", "expected"), "str"),
    **dict.fromkeys(("concept", "arm", "sites", "strength_unit", "vectors_hash", "decided_by", "state", "text"), "str"),
    **dict.fromkeys(("finish_reason", "thinking", "cut", "error"), "str"),
}


def trials_table(store: Store) -> pd.DataFrame:
    """Return one row a trial, in an order that does not depend on when it ran; columns are named as the options.

    `state` is `done`, `unreachable` (no multiplier gives the dose in nats) or `error`; then `error` is the message and
    there is no text. `sites` reads "loop:layer,...", or "prelude:0" and "coda:1" outside of the loops; `loop` and
    `layer` are missing there, and where the sites have several. A missing `extract_loop` is the loop of each site. For
    every grader there are columns such as `rules_detected`, missing where the verdict is unknown.
    """
    names = stored_graders(store)
    columns, rows = trial_columns(names), trial_rows(store, names)
    same: dict[Any, Any] = {}
    chunks = [_frame(chunk, columns, same) for chunk in iter(lambda: list(islice(rows, _CHUNK)), [])]
    table = pd.concat(chunks or [_frame([], columns, same)], ignore_index=True)
    table["seed"] = pd.to_numeric(table["seed"])  # all at once, since some may need all 64 bits
    return table


def trial_columns(graders: Sequence[str]) -> list[str]:
    """Name the columns of `trial_rows`."""
    return [*queries.TRIAL_COLUMNS, *(column for grader in graders for column in queries.grade_columns(grader))]


def trial_rows(store: Store, graders: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of all trials as they are written into trials.csv, verdicts spelled True and False."""
    sql, table = queries.trials_of_cells(len(graders)), cells_table(store)
    least = as_parameter(floors(store, table))
    for cells in _in_running_order(table):
        yield from store.select(sql, least, *graders, "[" + ",".join(map(str, cells)) + "]")


def stored_graders(store: Store) -> list[str]:
    """List the graders of a run."""
    return [grader for (grader,) in store.select(queries.GRADER_NAMES)]


def cells_table(store: Store) -> pd.DataFrame:
    """Return what the trials of each cell have in common, one row a cell, by its number.

    Raises InputError for a question that no protocol here asks: what its answers are is not known.
    """
    table = pd.DataFrame(store.select(queries.CELLS), columns=["cell", *queries.CELL_COLUMNS], dtype=object)
    for question in table["question"].unique():
        question_named(question)
    return table.astype({"cell": "int64", **{name: TYPES[name] for name in queries.CELL_COLUMNS}}).set_index("cell")


def alike_table(store: Store, cells: pd.DataFrame, grader: str, coherence: Gate = "rules") -> pd.DataFrame:
    """Return one row for all trials that are alike in cell, concept, state and verdicts, with their number as `alike`.

    With coherence `model` the verdicts on answers that are not coherent by the model are unknown.
    """
    said = [f"{grader}_{verdict}" for verdict in VERDICTS]
    verdicts = [*said, COLUMN]
    columns = ["cell", "concept", "state", *verdicts, "alike"]
    rows = store.select(queries.ALIKE, as_parameter(floors(store, cells)), grader)
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    table = table.astype(
        {"cell": "int64", "concept": "str", "state": "str", "alike": "int64", **dict.fromkeys(verdicts, "Int64")}
    )
    return gated(table.astype(dict.fromkeys(verdicts, "boolean")), said, coherence).join(cells, on="cell")


def in_order(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sort rows by the keys, arms and measures in their own order, missing last."""
    ranks = {name: rank for rank, name in enumerate((*ARMS, *MEASURES))}
    ranked = {"arm", "measure"}
    return table.sort_values(
        keys, key=lambda column: column.map(ranks) if column.name in ranked else column, ignore_index=True
    )


def _in_running_order(table: pd.DataFrame) -> list[list[int]]:
    """Group the cells that do not differ in what orders them."""
    cells = in_order(table.reset_index(), CELL_ORDER)
    return [list(group) for _, group in cells.groupby(CELL_ORDER, dropna=False, sort=False)["cell"]]


def _frame(rows: list[tuple[object, ...]], columns: list[str], same: dict[Any, Any]) -> pd.DataFrame:
    """Make a frame of rows; texts that many rows have in common are kept once, in `same`. Any: pandas wants it."""
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    for column in queries.CELL_COLUMNS:
        if TYPES[column] == "str":
            table[column] = [same.setdefault(text, text) for text in table[column]]
    for column in (COLUMN, *columns[len(queries.TRIAL_COLUMNS) :]):
        if column.endswith((*VERDICTS, COLUMN)):
            table[column] = table[column].map({"True": True, "False": False}).astype("boolean")
        elif column.endswith("_tokens"):
            table[column] = table[column].astype("Int64")
        else:
            table[column] = table[column].astype("str")
    return table.astype(TYPES)
