"""The trials of a run without their texts, as the statistics take them. In goes a store, out comes a frame.

Columns: those of a cell, concept, repeat, expected, options, partner, `asked` (a number for what fills the template
in), state, `{grader}_...` verdicts and answer, and from the read-outs `difference` (logit(yes) - logit(no)), `mass`,
`entropy` (nats) and `concept_rank` after the last loop, and `first_yes`, the first loop after which logit(yes) is above
logit(no), missing where it never is. `offered` is the probability of the first tokens of all options, with nothing
injected; missing elsewhere.
"""

import json
import math
from collections.abc import Iterable

import pandas as pd

from introspect.records.trial import Gate
from introspect.results.store import queries
from introspect.results.store.queries import VERDICTS
from introspect.results.store.store import Store
from introspect.results.tables.trials.fluency import COLUMN, as_parameter, floors, gated
from introspect.results.tables.trials.trials import cells_table, stored_graders

WRITTEN_INTO_TEXT = r'(?:, )?"written": "(?:[^"\\]|\\.)*"'
"""What the arm text adds to the JSON of what a question is filled in with; it asks the same question."""
_LAST = ("difference", "mass", "entropy", "concept_rank")


def narrow_trials(store: Store, coherence: Gate = "rules", of_cells: Iterable[int] | None = None) -> pd.DataFrame:
    """Return one row a trial, by its number; what is missing or unknown is missing.

    With coherence `model` the verdicts on answers that are not coherent by the model are unknown. `of_cells` are the
    numbers of the cells whose trials are wanted, all when left out.
    """
    listed = None if of_cells is None else ", ".join(str(int(cell)) for cell in of_cells)
    within = queries.EVERY_TRIAL if listed is None else queries.OF_CELLS.format(cells=listed)
    cells, columns = cells_table(store), ["n", "cell", *queries.NARROW, "state", COLUMN]
    rows = store.select(queries.NARROW_TRIALS.format(within=within), as_parameter(floors(store, cells)))
    table = pd.DataFrame(rows, columns=columns, dtype=object).set_index("n").astype({COLUMN: "Int64"})
    table = table.astype(
        {"cell": "int64", "repeat": "int64", **dict.fromkeys(_TEXT, "str"), "state": "str", COLUMN: "boolean"}
    )
    asked = table.pop("variables").astype("str").str.replace(WRITTEN_INTO_TEXT, "", regex=True)
    table["asked"], _ = pd.factorize(asked.mask(asked == "{}"))  # a text per trial would fill the memory
    read = pd.DataFrame(
        store.select(queries.LAST_READOUTS.format(within=within)), columns=["n", *_LAST], dtype=object
    ).set_index("n")
    table = table.join(read.astype({**dict.fromkeys(_LAST[:3], "float64"), "concept_rank": "Int64"}))
    first = pd.DataFrame(
        store.select(queries.FIRST_YES.format(within=within)), columns=["n", "first_yes"], dtype=object
    ).set_index("n")
    table = table.join(first.astype("Int64"))
    table["offered"] = _offered(store, within)
    for grader in stored_graders(store):
        said = [f"{grader}_{name}" for name in (*VERDICTS, "answer", "tokens")]
        table = gated(table.join(_grades(store, grader, within)), said, coherence)
    return table.join(cells, on="cell").reset_index(drop=True)


_TEXT = ("concept", "expected", "options", "partner")


def _offered(store: Store, within: str) -> pd.Series:
    """Return the probability of the first tokens of all options after the last loop, by the number of the trial."""
    found = {
        n: math.fsum(math.exp(value) for value in set(json.loads(values)))  # options may share their first token
        for n, values in store.select(queries.CLEAN_OPTIONS.format(within=within))
    }
    return pd.Series(found, dtype="float64")


def _grades(store: Store, grader: str, within: str) -> pd.DataFrame:
    names = [f"{grader}_{name}" for name in (*VERDICTS, "answer", "tokens")]
    table = pd.DataFrame(
        store.select(queries.VERDICTS_OF.format(within=within), grader), columns=["n", *names], dtype=object
    ).set_index("n")
    *verdicts, answer, tokens = names
    table = table.astype({**dict.fromkeys(verdicts, "Int64"), answer: "str", tokens: "Int64"})
    return table.astype(dict.fromkeys(verdicts, "boolean"))
