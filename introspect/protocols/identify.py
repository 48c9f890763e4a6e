"""Forced identification: the answer begins with a yes of ours, and the model goes on with what the thought is about.

Noticing and naming come apart: a vector that is active as the answer is written may name itself, with or without being
noticed. `detect` is asked under the same injections, so that both are known of every cell.
"""

from introspect.protocols.detect import DETECT_ALONE
from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import UNRELATED


def _ask(occasion: Occasion) -> list[Asked]:
    return [Asked({"number": str(occasion.number)}, (occasion.concept,), occasion.concept)]


IDENTIFY = Protocol(
    "identify",
    "is the injected thought named where the answer begins with a yes of ours; detect under the same injections "
    "beside it",
    (
        Question("identify", "naming", framed("identify"), _ask, max_new_tokens=8, varies=False, rubric="identify"),
        DETECT_ALONE,
        UNRELATED,
    ),
    arms=("injected", "none", "random", "wrong"),
)
