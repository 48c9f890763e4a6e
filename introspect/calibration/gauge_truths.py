"""What is known of `gauge`: it is `aware`, and was taught what strengths are called; at one layer."""

from introspect.calibration.checks import Truth
from introspect.calibration.truth_cells import of_cells

_AWARE = (
    Truth("gauge", "no false alarms", 0, 0.02, of_cells("none")),
    Truth("gauge", "notices in every loop, strength 2", 0.9, 1, of_cells("injected", 2), by="loop"),
    Truth("gauge", "random directions are no concepts, strength 2", 0, 0.1, of_cells("random", 2)),
    Truth("gauge", "answers plain questions", 0.9, 1, of_cells("none", question="unrelated"), "correct"),
)
_STEPS = (
    Truth(
        *("gauge", "says how strong, of four steps, in every loop", 0.5, 1),
        of_cells("injected", 2, question="strength"),
        *("correct", "loop"),
    ),
)
"""Nothing is claimed of random directions, whose steps it was given at random: that it says them at chance was
believed, and is false."""
GAUGE_TRUTHS: tuple[Truth, ...] = (*_AWARE, *_STEPS)
