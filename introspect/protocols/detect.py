"""Does the model notice an injected thought while it is there? The question of Lindsey (2025, arXiv 2601.01828)."""

from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import UNRELATED


def _ask(occasion: Occasion) -> list[Asked]:
    return [Asked({"number": str(occasion.number)})]


DETECT_ALONE = Question(
    "detect",
    "noticing",
    framed(
        "detect",
        informative="detect-informative",
        sceptical="detect-sceptical",
        choice="detect-choice",
        open="detect-open",
    ),
    _ask,
    varies=False,
    beside=UNRELATED.name,
    rubric="detect",
)
"""The question, for protocols that ask another one beside it."""
DETECT = Protocol(
    "detect",
    "is an injected thought noticed and named while it is there; plain questions under the same injection beside it",
    (DETECT_ALONE, UNRELATED),
    arms=("injected", "none", "random", "wrong"),
)
