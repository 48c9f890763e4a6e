"""Unintended output: a word is put into the model's mouth, then it is asked whether it meant to say that.

Structure after Lindsey (2025, arXiv 2601.01828). The arm `injected` has the vector of the very word, `wrong` that of
another one. `unintended-followup` is the position control: the injection comes after the word, with the question.
"""

from introspect.protocols.question import Asked, Occasion, Protocol, Question, neutral
from introspect.protocols.unrelated import PLAIN, PLAIN_CHOICE

_OPTIONS = ("meant", "accident")


def _ask(occasion: Occasion) -> list[Asked]:
    return [Asked({"said": occasion.concept.capitalize()}, _OPTIONS)]


UNINTENDED = Protocol(
    "unintended",
    "does a vector injected before make the model own a word that was put into its mouth",
    (
        Question(
            "unintended",
            "choice",
            neutral("unintended"),
            _ask,
            max_new_tokens=12,
            rubric="unintended",
        ),
        Question(
            "unintended-followup",
            "choice",
            neutral("unintended-followup"),
            _ask,
            max_new_tokens=12,
            rubric="unintended",
        ),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "wrong"),
)
