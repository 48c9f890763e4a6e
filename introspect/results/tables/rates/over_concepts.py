"""Means over concepts of what was measured behind the prompt. In goes a number a cell and concept, out intervals."""

from collections.abc import Sequence

import pandas as pd

from introspect.results.statistics import mean_interval
from introspect.results.store.store import Store
from introspect.results.tables.rates.rates import LOOP_CELL, varying, with_loops

_ROUTED = """SELECT trials.cell, concept, measures.loop, avg(value)
    FROM measures JOIN trials USING (n) WHERE name = 'routed' GROUP BY 1, 2, 3"""
"""Of every cell, concept and loop the share of the span that the loop has run, over the repeats."""


def over_concepts(found: pd.DataFrame, cells: pd.DataFrame, within: Sequence[str] = ()) -> pd.DataFrame:
    """Return the mean of `value` with a t interval over n concepts, the layers of a concept first.

    A row per question, arm, loop of the injection, strength, what varies beside these, and the columns `within`.
    `found` has the columns cell, concept, value and those of `within`.
    """
    table = with_loops(cells)
    keys = ["question", *LOOP_CELL]
    keys += [name for name in varying(table, LOOP_CELL) if name not in keys]
    by = [*keys, *within]
    means = found.join(table[keys], on="cell").groupby([*by, "concept"], dropna=False)["value"].mean().reset_index()
    rows = []
    for place, part in means.groupby(by, dropna=False)["value"]:
        mean, low, high = mean_interval(part.to_numpy(dtype=float))
        rows.append({**dict(zip(by, place, strict=True)), "n": len(part), "mean": mean, "low": low, "high": high})
    return pd.DataFrame(rows).astype({key: table[key].dtype for key in keys})


def routed_table(store: Store, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the share of the injection span's tokens that each loop `run_loop` has run, where tokens are routed.

    What is added in a loop to a token that the loop does not run is lost: a rate at that loop is of fewer tokens than
    the span has. Empty where every loop runs all tokens.
    """
    found = pd.DataFrame(store.select(_ROUTED), columns=["cell", "concept", "run_loop", "value"])
    return pd.DataFrame() if found.empty else over_concepts(found, cells, ["run_loop"])
