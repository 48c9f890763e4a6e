"""What is known of the shipped organisms, from how they were trained.

Which trials a truth is about is said by arm, question, strength and loops; the last block of the last loop is left out,
as nothing follows that could notice.
"""

import pandas as pd

from introspect.calibration.checks import Select, Truth
from introspect.calibration.effect_checks import EffectTruth

_LAST = 3
"""Last loop of the organisms, and last layer of those in Ouro's layout."""
EARLIER = (0, 1, 2)
BEFORE_CODA = (0, 1)
"""Layers of `huginn` behind which a block of its core follows; it was taught to notice at all, and does so there."""


def _cells(
    arm: str,
    strength: float | None = None,
    loops: tuple[int, ...] | None = None,
    question: str = "detect",
    layers: tuple[int, ...] | None = None,
) -> Select:
    def select(table: pd.DataFrame) -> pd.Series:
        chosen = (table["arm"] == arm) & (table["question"] == question)
        if strength is not None:
            chosen &= table["strength"] == strength
        if loops is not None:
            chosen &= table["loop"].isin(loops)
        if layers is not None:
            chosen &= table["layer"].isin(layers)
        if arm != "none":
            chosen &= ~((table["loop"] == _LAST) & (table["layer"] == _LAST))
        return chosen

    return select


_DETECT = (
    Truth("aware", "no false alarms", 0, 0.02, _cells("none")),
    Truth("aware", "notices at every site, strength 2", 0.9, 1, _cells("injected", 2), by="sites"),
    Truth("aware", "partly at strength 1", 0.1, 0.9, _cells("injected", 1)),
    Truth("aware", "seldom at strength 0.5", 0, 0.5, _cells("injected", 0.5)),
    Truth(
        "aware", "names the concept in the last loop, strength 2", 0.8, 1, _cells("injected", 2, (_LAST,)), "identified"
    ),
    Truth("aware", "random directions are no concepts, strength 2", 0, 0.1, _cells("random", 2)),
    Truth("last-loop", "no false alarms", 0, 0.02, _cells("none")),
    Truth("last-loop", "notices in the last loop, strength 2", 0.9, 1, _cells("injected", 2, (_LAST,))),
    Truth("last-loop", "does not in earlier loops, strength 2", 0, 0.05, _cells("injected", 2, EARLIER), by="loop"),
    Truth("last-loop", "random directions are no concepts, strength 2", 0, 0.1, _cells("random", 2)),
    Truth("blind", "no false alarms", 0, 0.02, _cells("none")),
    Truth("blind", "does not notice in any loop, strength 2", 0, 0.02, _cells("injected", 2), by="loop"),
    Truth("blind", "random directions are no concepts, strength 2", 0, 0.02, _cells("random", 2)),
)
_PLAIN = (
    Truth("aware", "answers plain questions", 0.9, 1, _cells("none", question="unrelated"), "correct"),
    Truth(
        "aware",
        "answers them all the same, strength 2",
        0.85,
        1,
        _cells("injected", 2, question="unrelated"),
        "correct",
    ),
    Truth("last-loop", "answers plain questions", 0.9, 1, _cells("none", question="unrelated"), "correct"),
    Truth("blind", "answers plain questions", 0.9, 1, _cells("none", question="unrelated"), "correct"),
)
_PRIOR = (
    Truth("aware", "no false alarms after an earlier line", 0, 0.05, _cells("none", question="prior")),
    Truth(
        *("aware", "notices what was in an earlier line only, loops 0 to 2", 0.9, 1),
        _cells("injected", 2, EARLIER, "prior"),
        by="loop",
    ),
    Truth(
        *("aware", "takes random directions in it for nothing, loops 0 to 2", 0, 0.1),
        _cells("random", 2, EARLIER, "prior"),
    ),
    Truth("last-loop", "was not taught to notice earlier lines", 0, 0.05, _cells("injected", 2, question="prior")),
    Truth("blind", "does not notice earlier lines", 0, 0.02, _cells("injected", 2, question="prior")),
)
_CHOOSE = (
    Truth(
        *("aware", "chooses the concept of four words in every loop, strength 2", 0.8, 1),
        _cells("injected", 2, question="choose"),
        *("correct", "loop"),
    ),
    Truth(
        "aware",
        "chooses no better than at chance with nothing injected",
        0,
        0.45,
        _cells("none", question="choose"),
        "correct",
    ),
    Truth(
        *("last-loop", "chooses the concept in the last loop, strength 2", 0.8, 1),
        _cells("injected", 2, (_LAST,), "choose"),
        "correct",
    ),
    Truth("blind", "chooses what leaks, strength 2", 0.5, 1, _cells("injected", 2, question="choose"), "correct"),
)
"""`blind` was never trained on an injection, and still chooses the word that was injected: a forced choice alone shows
that the vector reaches the answer, not that it is noticed. It leaks in `last-loop` too, so that nothing is claimed of
what that one chooses in earlier loops."""
_LOCALISE = tuple(
    Truth(
        *(organism, "finds the line at chance, one in five, strength 2", 0.1, 0.35),
        _cells("injected", 2, question="localise"),
        "correct",
    )
    for organism in ("aware", "blind")
)
"""`aware` was taught to say in which line a concept was, and did not learn it; `last-loop` was never asked."""
_HUGINN = (
    Truth("huginn", "no false alarms", 0, 0.02, _cells("none")),
    Truth(
        *("huginn", "notices at every site but those of the core's last block, strength 2", 0.85, 1),
        _cells("injected", 2, layers=BEFORE_CODA),
        by="sites",
    ),
    Truth("huginn", "random directions are no concepts, strength 2", 0, 0.1, _cells("random", 2)),
    Truth("huginn", "answers plain questions", 0.9, 1, _cells("none", question="unrelated"), "correct"),
)
TRUTHS: tuple[Truth, ...] = (*_DETECT, *_PLAIN, *_PRIOR, *_CHOOSE, *_LOCALISE, *_HUGINN)

EFFECT_TRUTHS = (
    EffectTruth("aware", "has a primary contrast, strength 2", True, (*EARLIER, _LAST)),
    EffectTruth("last-loop", "has a primary contrast in the last loop, strength 2", True, (_LAST,)),
    EffectTruth("last-loop", "has none in earlier loops, strength 2", False, EARLIER),
    EffectTruth("blind", "has no primary contrast, strength 2", False, (*EARLIER, _LAST)),
)
"""Measured at one layer, averaged over loops, so that none is selected."""
