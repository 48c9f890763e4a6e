"""Protocols: what is asked, where the span is, and which answers are right; one file each. PROTOCOLS lists them.

What a question is, it says itself; the functions below look it up by the name that a trial carries, each time anew, so
that a protocol which a notebook adds to PROTOCOLS counts at once.
"""

from collections.abc import Iterator

from introspect.errors import InputError, unknown
from introspect.protocols.choose import CHOOSE
from introspect.protocols.compare import COMPARE
from introspect.protocols.control import CONTROL
from introspect.protocols.detect import DETECT
from introspect.protocols.identify import IDENTIFY
from introspect.protocols.localise import LOCALISE, LOCALISE_TEN
from introspect.protocols.prior import PRIOR
from introspect.protocols.question import NEUTRAL, WRITTEN, Asked, Kind, Occasion, Protocol, Question, Variant
from introspect.protocols.strength import STRENGTH
from introspect.protocols.third_person import THIRD_PERSON
from introspect.protocols.thought_or_text import THOUGHT_OR_TEXT
from introspect.protocols.unintended import UNINTENDED
from introspect.protocols.which_loop import WHICH_LOOP

__all__ = [
    "NEUTRAL",
    "PROTOCOLS",
    "WRITTEN",
    "Asked",
    "Kind",
    "Occasion",
    "Protocol",
    "Question",
    "Variant",
    "beside",
    "gates",
    "kind_of",
    "protocol_named",
    "question_named",
    "questions_of",
    "silent_protocols",
    "twins",
]


def by_name(*protocols: Protocol) -> dict[str, Protocol]:
    """Return protocols by name. Raises InputError where a name is taken, or questions of one name differ in kind."""
    kinds: dict[str, Question] = {}
    for protocol in protocols:
        for question in protocol.questions:
            first = kinds.setdefault(question.name, question)
            if (first.kind, first.beside, first.rubric) != (question.kind, question.beside, question.rubric):
                raise InputError(
                    f"question {question.name!r} of protocol {protocol.name!r}: another question of this name has "
                    "another kind, rubric or plain question; give it a name of its own"
                )
    found = {protocol.name: protocol for protocol in protocols}
    if len(found) < len(protocols):
        raise InputError(f"two protocols have one name: {', '.join(protocol.name for protocol in protocols)}")
    return found


PROTOCOLS = by_name(
    DETECT,
    PRIOR,
    THOUGHT_OR_TEXT,
    UNINTENDED,
    CONTROL,
    LOCALISE,
    LOCALISE_TEN,
    COMPARE,
    CHOOSE,
    WHICH_LOOP,
    IDENTIFY,
    THIRD_PERSON,
    STRENGTH,
)


def protocol_named(name: str) -> Protocol:
    """Return the protocol called `name`, or raise InputError naming the known ones."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def question_named(name: str) -> Question:
    """Return the question called `name`, or raise InputError naming the known ones."""
    for question in _questions():
        if question.name == name:
            return question
    raise unknown("question", name, dict.fromkeys(question.name for question in _questions()))


def kind_of(name: str) -> Kind:
    """Return the kind of the question called `name`, or raise InputError naming the known ones."""
    return question_named(name).kind


def beside(name: str) -> str | None:
    """Return the plain question under the same injection, None where a question has none."""
    return question_named(name).beside


def questions_of(*kinds: Kind) -> list[str]:
    """Return the names of all questions of some kinds, in the order of PROTOCOLS."""
    return list(dict.fromkeys(each.name for each in _questions() if each.kind in kinds))


def gates() -> list[str]:
    """Return the names of the plain questions that tell with nothing injected whether the model can answer at all."""
    return list(dict.fromkeys(each.name for each in _questions() if each.gates))


def twins() -> dict[str, str]:
    """Return the questions about another model, each with the one that asks the same of the model itself."""
    return {each.name: each.twin for each in _questions() if each.twin is not None}


def silent_protocols() -> frozenset[str]:
    """Return the names of the protocols in which nothing is written that could be graded."""
    return frozenset(name for name, protocol in PROTOCOLS.items() if protocol.silent)


def _questions() -> Iterator[Question]:
    return (question for protocol in PROTOCOLS.values() for question in protocol.questions)
