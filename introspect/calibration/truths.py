"""What is known of the shipped organisms' answers, from how they were trained."""

from introspect.calibration.answer_truths import ANSWER_TRUTHS
from introspect.calibration.checks import Truth
from introspect.calibration.control_truths import CONTROL_TRUTHS
from introspect.calibration.truth_cells import EARLIER, LAST_LOOP, of_cells

BEFORE_CODA = (0, 1)
"""Layers of `huginn` behind which a block of its core follows; it was taught to notice at all, and does so there."""

_DETECT = (
    Truth("aware", "no false alarms", 0, 0.02, of_cells("none")),
    Truth("aware", "notices at every site, strength 2", 0.8, 1, of_cells("injected", 2), by="sites"),
    Truth("aware", "partly at strength 1", 0.1, 0.9, of_cells("injected", 1)),
    Truth("aware", "seldom at strength 0.5", 0, 0.5, of_cells("injected", 0.5)),
    Truth(
        "aware",
        "names the concept in the last loop, strength 2",
        0.8,
        1,
        of_cells("injected", 2, (LAST_LOOP,)),
        "identified",
    ),
    Truth("aware", "random directions are no concepts, strength 2", 0, 0.1, of_cells("random", 2)),
    Truth("last-loop", "no false alarms", 0, 0.02, of_cells("none")),
    Truth("last-loop", "notices in the last loop, strength 2", 0.9, 1, of_cells("injected", 2, (LAST_LOOP,))),
    Truth("last-loop", "does not in earlier loops, strength 2", 0, 0.05, of_cells("injected", 2, EARLIER), by="loop"),
    Truth("last-loop", "random directions are no concepts, strength 2", 0, 0.1, of_cells("random", 2)),
    Truth("blind", "no false alarms", 0, 0.02, of_cells("none")),
    Truth("blind", "does not notice in any loop, strength 2", 0, 0.02, of_cells("injected", 2), by="loop"),
    Truth("blind", "random directions are no concepts, strength 2", 0, 0.02, of_cells("random", 2)),
)
"""Of 15 sites with 48 trials each, all truly at .95, the worst is below .9 in three of four cases, and below .8 in one
of 600."""
_PLAIN = (
    Truth("aware", "answers plain questions", 0.9, 1, of_cells("none", question="unrelated"), "correct"),
    Truth(
        "aware",
        "answers them all the same, strength 2",
        0.85,
        1,
        of_cells("injected", 2, question="unrelated"),
        "correct",
    ),
    Truth("last-loop", "answers plain questions", 0.9, 1, of_cells("none", question="unrelated"), "correct"),
    Truth("blind", "answers plain questions", 0.9, 1, of_cells("none", question="unrelated"), "correct"),
)
_PRIOR = (
    Truth("aware", "no false alarms after an earlier line", 0, 0.05, of_cells("none", question="prior")),
    Truth(
        *("aware", "notices what was in an earlier line only, loops 0 to 2", 0.9, 1),
        of_cells("injected", 2, EARLIER, "prior"),
        by="loop",
    ),
    Truth(
        *("aware", "takes random directions in it for nothing, loops 0 to 2", 0, 0.1),
        of_cells("random", 2, EARLIER, "prior"),
    ),
    Truth("last-loop", "was not taught to notice earlier lines", 0, 0.05, of_cells("injected", 2, question="prior")),
    Truth("blind", "does not notice earlier lines", 0, 0.02, of_cells("injected", 2, question="prior")),
)
_CHOOSE = (
    Truth(
        *("aware", "chooses the concept of four words in every loop, strength 2", 0.8, 1),
        of_cells("injected", 2, question="choose"),
        *("correct", "loop"),
    ),
    Truth(
        "aware",
        "chooses no better than at chance with nothing injected",
        0,
        0.45,
        of_cells("none", question="choose"),
        "correct",
    ),
    Truth(
        *("last-loop", "chooses the concept in the last loop, strength 2", 0.8, 1),
        of_cells("injected", 2, (LAST_LOOP,), "choose"),
        "correct",
    ),
    Truth("blind", "chooses what leaks, strength 2", 0.5, 1, of_cells("injected", 2, question="choose"), "correct"),
)
"""`blind` was never trained on an injection, and still chooses the word that was injected: a forced choice alone shows
that the vector reaches the answer, not that it is noticed. It leaks in `last-loop` too, so that nothing is claimed of
what that one chooses in earlier loops."""
_LOCALISE = tuple(
    Truth(
        *(organism, "finds the line at chance, one in five, strength 2", 0.05, 0.35),
        of_cells("injected", 2, question="localise"),
        "correct",
    )
    for organism in ("aware", "blind")
)
"""`aware` was taught to say in which line a concept was, and did not learn it; `last-loop` was never asked."""
_HUGINN = (
    Truth("huginn", "no false alarms", 0, 0.02, of_cells("none")),
    Truth(
        *("huginn", "notices at every site but those of the core's last block, strength 2", 0.85, 1),
        of_cells("injected", 2, layers=BEFORE_CODA),
        by="sites",
    ),
    Truth("huginn", "random directions are no concepts, strength 2", 0, 0.1, of_cells("random", 2)),
    Truth("huginn", "answers plain questions", 0.9, 1, of_cells("none", question="unrelated"), "correct"),
)
_MORE = (*CONTROL_TRUTHS, *ANSWER_TRUTHS)
TRUTHS: tuple[Truth, ...] = (*_DETECT, *_PLAIN, *_PRIOR, *_CHOOSE, *_LOCALISE, *_HUGINN, *_MORE)
