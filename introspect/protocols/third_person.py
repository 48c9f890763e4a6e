"""The third-person twin: the same injection, asked about another model that reads the same words.

An injection that makes the model say of any mind that it notices a thought tells nothing of its own. What counts is the
excess of the first person over the third. After Lederman and Mahowald.
"""

from introspect.protocols.detect import DETECT_ALONE
from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import UNRELATED


def _ask(occasion: Occasion) -> list[Asked]:
    return [Asked({"number": str(occasion.number)})]


THIRD_PERSON = Protocol(
    "third-person",
    "is a thought noticed in oneself more than it is ascribed to another model, under the same injection",
    (
        DETECT_ALONE,
        Question(
            "third-person",
            "noticing",
            framed("third-person"),
            _ask,
            varies=False,
            beside=UNRELATED.name,
            twin=DETECT_ALONE.name,
            rubric="third-person",
        ),
        UNRELATED,
    ),
    arms=("injected", "none", "random", "wrong"),
)
