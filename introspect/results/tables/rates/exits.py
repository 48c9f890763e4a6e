"""Where the exit gate would leave after the prompt, injected against controls: from a store to tables.

The gate's distribution is measured where a sweep was run with an exit other than the last loop.
"""

import pandas as pd

from introspect.results.store.store import Store
from introspect.results.tables.rates.over_concepts import over_concepts

EXPECTED = """SELECT cell, concept, avg(expected) FROM (
    SELECT trials.cell AS cell, concept, sum(measures.loop * value) AS expected
    FROM measures JOIN trials USING (n) WHERE name = 'exit' GROUP BY n) GROUP BY 1, 2"""
"""Of every cell and concept the loop at which the gate leaves, in expectation, over the repeats."""


def exits_table(store: Store, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the expected exit loop per question, arm, loop of the injection and strength, from 0.

    The mean, with a t interval, is over n concepts, the layers of a concept first. Empty where no gate was read.
    """
    found = pd.DataFrame(store.select(EXPECTED), columns=["cell", "concept", "value"])
    return pd.DataFrame() if found.empty else over_concepts(found, cells)
