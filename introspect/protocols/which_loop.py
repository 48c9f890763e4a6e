"""Early or late: was the thought put into an early loop or a late one? A question for looped models only."""

from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import PLAIN, PLAIN_CHOICE

_OPTIONS = ("early", "late")


def _ask(occasion: Occasion) -> list[Asked]:
    return [Asked({"number": str(occasion.number)}, _OPTIONS)]


def _expects(loops: tuple[int, ...], n_loops: int, _: tuple[float, ...]) -> str | None:
    """Split the loops in the middle; None where the injection is on both sides, or there is none."""
    late = {2 * loop >= n_loops for loop in loops}
    return _OPTIONS[late.pop()] if len(late) == 1 else None


WHICH_LOOP = Protocol(
    "which-loop",
    "was the thought put into an early loop or a late one",
    (
        Question(
            "which-loop",
            "choice",
            framed("which-loop"),
            _ask,
            max_new_tokens=8,
            varies=False,
            expects=_expects,
            rubric="which-loop",
        ),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "random"),
)
