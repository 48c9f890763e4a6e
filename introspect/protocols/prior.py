"""Steer, then remove: the injection covers an earlier turn, and the question is asked with nothing active.

What is left lives in the cache, so that the vector cannot leak into the answer while it is written.
"""

from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import PLAIN, PRIOR_UNRELATED


def _ask(occasion: Occasion) -> list[Asked]:
    return [Asked({"number": str(occasion.number)})]


PRIOR = Protocol(
    "prior",
    "is a thought noticed that was injected in an earlier turn only",
    (
        Question(
            "prior",
            "noticing",
            framed("prior", informative="prior-informative"),
            _ask,
            varies=False,
            beside=PRIOR_UNRELATED.name,
            rubric="prior",
        ),
        PRIOR_UNRELATED,
        PLAIN,
    ),
    arms=("injected", "none", "random", "wrong"),
)
