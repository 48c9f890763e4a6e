"""Forced choice: which of four words is the injected thought? No yes or no that could be biased; chance is one in four.

The order is shuffled, and every word is a distractor equally often. With nothing injected the same question gives the
model's own guessing habit.
"""

from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import PLAIN, PLAIN_CHOICE

_N_WORDS = 4


def _ask(occasion: Occasion) -> list[Asked]:
    options = occasion.shuffled((occasion.concept, *occasion.others(_N_WORDS - 1)))
    # the template writes lines side by side with commas between; words that hold one are handed to it as one line
    between = "; " if any("," in option for option in options) else "\n"
    variables = {"options": between.join(options), "number": str(occasion.number)}
    return [Asked(variables, options, occasion.concept)]


CHOOSE = Protocol(
    "choose",
    "which of four words is the injected thought",
    (
        Question("choose", "choice", framed("choose"), _ask, max_new_tokens=16, rubric="choose"),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "random", "wrong"),
)
