"""Which trials a truth is about: by arm, question, strength, loops and layers.

The last block of the last loop is left out, as nothing follows that could notice.
"""

import pandas as pd

from introspect.calibration.checks import Select
from introspect.records.trial import NOT_INJECTED

LAST_LOOP = 3
"""Last loop of the organisms, and last layer of those in Ouro's layout."""
EARLIER = (0, 1, 2)
EVERY_LOOP = (*EARLIER, LAST_LOOP)


def of_cells(
    arm: str,
    strength: float | None = None,
    loops: tuple[int, ...] | None = None,
    question: str = "detect",
    layers: tuple[int, ...] | None = None,
) -> Select:
    """Return what selects such trials from a table of them; None selects every strength, loop or layer."""

    def select(table: pd.DataFrame) -> pd.Series:
        chosen = (table["arm"] == arm) & (table["question"] == question)
        if strength is not None:
            chosen &= table["strength"] == strength
        if loops is not None:
            chosen &= table["loop"].isin(loops)
        if layers is not None:
            chosen &= table["layer"].isin(layers)
        if arm not in NOT_INJECTED:
            chosen &= ~((table["loop"] == LAST_LOOP) & (table["layer"] == LAST_LOOP))
        return chosen

    return select
