"""Strength as a class: how strong was the injected thought, of four steps? Each trial has a multiple of one strength.

The steps are a quarter, a half, the whole and twice the strength of the cell, all of one direction, so that what is
told apart is the strength alone; chance is one in four. Random directions tell whether any push is measured like a
thought.
"""

from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import PLAIN, PLAIN_CHOICE

_OPTIONS = ("faint", "weak", "strong", "overwhelming")
_STEPS = ((0.25,), (0.5,), (1.0,), (2.0,))


def _ask(occasion: Occasion) -> list[Asked]:
    return [Asked({"number": str(occasion.number)}, _OPTIONS)]


def _expects(loops: tuple[int, ...], _: int, weights: tuple[float, ...]) -> str | None:
    return _OPTIONS[_STEPS.index(weights)] if loops else None


STRENGTH = Protocol(
    "strength",
    "how strong was the injected thought, of four steps from a quarter to twice the strength",
    (
        Question(
            "strength",
            "choice",
            framed("strength"),
            _ask,
            weights=_STEPS,
            max_new_tokens=8,
            varies=False,
            expects=_expects,
            rubric="strength",
        ),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "random"),
)
