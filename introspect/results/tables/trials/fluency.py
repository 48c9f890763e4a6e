"""Coherence from the model itself: an answer is fluent where the model without injection might have written it.

An answer's `clean_logprob` is held against those of the arm `none` to the same question, drawn in the same way:

    floor = median - 2 (median - 5% quantile)

For normal values that is 3.3 standard deviations below the middle, so that nearly all answers without injection pass.
The margin is wide on purpose. A true report of a thought is itself improbable without the thought, so a floor at the 5%
quantile would throw out what is looked for, short answers first.

Goes in: a store. Come out: the floor of each cell, and verdicts that are unknown where an answer lies below it.
"""

import json
from collections.abc import Sequence

import pandas as pd

from introspect.records.trial import Gate
from introspect.results.store import queries
from introspect.results.store.store import Store

COLUMN = "coherent_by_model"
FEWEST_CLEAN = 10
"""Answers without injection from which a floor is taken."""
TAIL = 0.05
_ALIKE = (
    *("question", "template_hash", "n_loops"),
    *("temperature", "top_p", "max_new_tokens", "decided_by"),
)
"""Columns of a cell in which answers must agree to be held against one another."""


def floors(store: Store, cells: pd.DataFrame) -> dict[int, float]:
    """Return the least clean log-probability per token, in nats, of a coherent answer, by the number of the cell.

    A cell is left out where fewer than FEWEST answers without injection were measured.
    """
    found = pd.DataFrame(store.select(queries.CLEAN_OF_NONE), columns=["cell", "clean"])
    if found.empty:
        return {}
    clean = found.join(cells[list(_ALIKE)], on="cell").groupby(list(_ALIKE), dropna=False)["clean"]
    enough = clean.count() >= FEWEST_CLEAN
    floor = clean.apply(floor_of)[enough].rename("floor")
    of_cells = cells.reset_index().merge(floor.reset_index(), on=list(_ALIKE), how="inner")
    return {int(cell): float(value) for cell, value in zip(of_cells["cell"], of_cells["floor"], strict=True)}


def floor_of(clean: "pd.Series[float]") -> float:
    """Return the floor for answers whose log-probabilities with nothing injected are these."""
    middle = float(clean.median())
    return middle - 2 * (middle - float(clean.quantile(TAIL)))


def as_parameter(of_cells: dict[int, float]) -> str:
    """Write floors as the queries take them."""
    return json.dumps(of_cells)


def gated(table: pd.DataFrame, verdicts: Sequence[str], coherence: Gate) -> pd.DataFrame:
    """Return the table with these verdicts unknown where, by the model, the answer is not coherent.

    Where the model cannot tell, a verdict stays what it is; with `rules` all do.
    """
    if coherence == "rules" or COLUMN not in table:
        return table
    salad = table[COLUMN].eq(False).fillna(False).astype(bool)
    return table.assign(**{verdict: table[verdict].mask(salad) for verdict in verdicts})
