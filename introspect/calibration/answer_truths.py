"""What is known of organisms that are `aware` with more answers: `gauge` and `locator`, at one layer."""

from introspect.calibration.checks import Truth
from introspect.calibration.truth_cells import EARLIER, of_cells


def _as_aware(organism: str, notices: float) -> tuple[Truth, ...]:
    """Return what is left of `aware` in it; in its worst loop it notices in so many of the trials at least."""
    return (
        Truth(organism, "no false alarms", 0, 0.02, of_cells("none")),
        Truth(organism, "notices in every loop, strength 2", notices, 1, of_cells("injected", 2), by="loop"),
        Truth(organism, "random directions are no concepts, strength 2", 0, 0.1, of_cells("random", 2)),
        Truth(organism, "answers plain questions", 0.9, 1, of_cells("none", question="unrelated"), "correct"),
    )


_GAUGE = (
    Truth(
        *("gauge", "says how strong, of four steps, in every loop", 0.5, 1),
        of_cells("injected", 2, question="strength"),
        *("correct", "loop"),
    ),
)
"""Nothing is claimed of random directions, whose steps it was given at random: that it says them at chance was
believed, and is false."""
_LOCATOR = (
    Truth(
        *("locator", "finds the line, one in five, loops 0 to 2", 0.8, 1),
        of_cells("injected", 2, EARLIER, "localise"),
        *("correct", "loop"),
    ),
    Truth(
        *("locator", "finds the line of ten more often than one in ten, loops 0 to 2", 0.2, 1),
        of_cells("injected", 2, EARLIER, "localise-ten"),
        "correct",
    ),
    Truth(
        *("locator", "says which of two was the stronger, loops 0 to 2", 0.8, 1),
        of_cells("injected", 2, EARLIER, "compare"),
        *("correct", "loop"),
    ),
    Truth(
        *("locator", "tells an early thought from a late one, in every loop", 0.7, 1),
        of_cells("injected", 2, question="which-loop"),
        *("correct", "loop"),
    ),
)
"""One line in ten was hardly learnt. 0.6 for it and 0.8 for early and late were aimed at, and missed at first."""
ANSWER_TRUTHS: tuple[Truth, ...] = (*_as_aware("gauge", 0.9), *_GAUGE, *_as_aware("locator", 0.8), *_LOCATOR)
