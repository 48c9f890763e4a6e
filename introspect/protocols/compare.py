"""Comparison: two lines, each with an injection; which was the stronger? Both orders are asked, so that no bias helps.

The weaker injection has half the strength of the cell.
"""

from introspect.protocols.material import free_of, sentences
from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import PLAIN, PLAIN_CHOICE

_OPTIONS = ("first", "second")
ORDERS = ((1.0, 0.5), (0.5, 1.0))


def _ask(occasion: Occasion) -> list[Asked]:
    usable = free_of(occasion.concept, sentences())
    first, second = (usable[(2 * occasion.index + k) % len(usable)].text for k in (0, 1))
    return [Asked({"first": first, "second": second}, _OPTIONS)]


def _expects(loops: tuple[int, ...], _: int, weights: tuple[float, ...]) -> str | None:
    return _OPTIONS[weights.index(max(weights))] if loops else None


COMPARE = Protocol(
    "compare",
    "which of two injections was the stronger, in both orders",
    (
        Question(
            "compare",
            "choice",
            framed("compare"),
            _ask,
            weights=ORDERS,
            max_new_tokens=8,
            expects=_expects,
            rubric="compare",
        ),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "random"),
)
