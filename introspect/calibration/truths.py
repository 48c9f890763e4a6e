"""What is known of the shipped organisms, from how they were trained.

Which trials a truth is about is said by arm, question, strength and loops; the last block of the last loop is left out,
as nothing follows that could notice.
"""

import pandas as pd

from introspect.calibration.checks import Select, Truth

LAST = 3
"""Last loop and last layer of the organisms."""
EARLIER = (0, 1, 2)


def _cells(
    arm: str, strength: float | None = None, loops: tuple[int, ...] | None = None, question: str = "detect"
) -> Select:
    def select(table: pd.DataFrame) -> pd.Series:
        chosen = (table["arm"] == arm) & (table["question"] == question)
        if strength is not None:
            chosen &= table["strength"] == strength
        if loops is not None:
            chosen &= table["loop"].isin(loops)
        if arm != "none":
            chosen &= ~((table["loop"] == LAST) & (table["layer"] == LAST))
        return chosen

    return select


_DETECT = (
    Truth("aware", "no false alarms", 0, 0.02, _cells("none")),
    Truth("aware", "notices at every site, strength 2", 0.9, 1, _cells("injected", 2), by="sites"),
    Truth("aware", "partly at strength 1", 0.1, 0.9, _cells("injected", 1)),
    Truth("aware", "seldom at strength 0.5", 0, 0.5, _cells("injected", 0.5)),
    Truth(
        "aware", "names the concept in the last loop, strength 2", 0.8, 1, _cells("injected", 2, (LAST,)), "identified"
    ),
    Truth("aware", "random directions are no concepts, strength 2", 0, 0.1, _cells("random", 2)),
    Truth("last-loop", "no false alarms", 0, 0.02, _cells("none")),
    Truth("last-loop", "notices in the last loop, strength 2", 0.9, 1, _cells("injected", 2, (LAST,))),
    Truth("last-loop", "does not in earlier loops, strength 2", 0, 0.05, _cells("injected", 2, (0, 1, 2)), by="loop"),
    Truth("last-loop", "random directions are no concepts, strength 2", 0, 0.1, _cells("random", 2)),
    Truth("blind", "no false alarms", 0, 0.02, _cells("none")),
    Truth("blind", "does not notice in any loop, strength 2", 0, 0.02, _cells("injected", 2), by="loop"),
    Truth("blind", "random directions are no concepts, strength 2", 0, 0.02, _cells("random", 2)),
)
