"""Localisation: which of five lines carried the injection. Positions are cycled, so that chance is one in five.

The neutral questions, which line is the longest and which the most abstract, have answers that the injection does not
change: a model that is merely drawn to the injected line gets these wrong.
"""

from introspect.errors import InputError
from introspect.protocols.material import Sentence, free_of, sentences
from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import PLAIN, PLAIN_CHOICE

N_LINES, MANY_LINES = 5, 10
NUMBERS = tuple(str(number + 1) for number in range(MANY_LINES))


def _position(occasion: Occasion) -> int:
    return occasion.index % N_LINES


def _lines(occasion: Occasion) -> list[Sentence]:
    """Choose lines of different length, one of them abstract, in an order of their own."""
    usable = {each.text: each for each in free_of(occasion.concept, sentences())}
    shuffled = [usable[text] for text in occasion.shuffled(list(usable))]
    chosen = [each for each in shuffled if each.abstract][:1]
    for each in shuffled:
        if len(chosen) < N_LINES and not each.abstract and each.length not in {one.length for one in chosen}:
            chosen.append(each)
    if len(chosen) < N_LINES or not chosen[0].abstract:
        raise InputError(
            f"concept {occasion.concept!r} occurs in so many sentences that none are left to localise it in"
        )
    return [usable[text] for text in occasion.shuffled([each.text for each in chosen])]


def _variables(lines: list[Sentence], occasion: Occasion, kind: str) -> dict[str, str]:
    text = "\n".join(line.text for line in lines)
    return {"sentences": text, "position": NUMBERS[_position(occasion)], "question_kind": kind}


def _injected(occasion: Occasion) -> list[Asked]:
    lines = _lines(occasion)
    return [Asked(_variables(lines, occasion, "injected"), NUMBERS[: len(lines)], NUMBERS[_position(occasion)])]


def _injected_of_ten(occasion: Occasion) -> list[Asked]:
    """Ask about ten lines of any length, of which none need be the longest."""
    usable = free_of(occasion.concept, sentences())
    if len(usable) < MANY_LINES:
        raise InputError(f"concept {occasion.concept!r} occurs in so many sentences that {MANY_LINES} are not left")
    lines, place = occasion.shuffled([each.text for each in usable])[:MANY_LINES], occasion.index % MANY_LINES
    variables = {"sentences": "\n".join(lines), "position": NUMBERS[place], "question_kind": "injected"}
    return [Asked(variables, NUMBERS, NUMBERS[place])]


def _longest(occasion: Occasion) -> list[Asked]:
    lines = _lines(occasion)
    longest = max(range(len(lines)), key=lambda place: lines[place].length)
    return [Asked(_variables(lines, occasion, "longest"), NUMBERS[: len(lines)], NUMBERS[longest])]


def _abstract(occasion: Occasion) -> list[Asked]:
    lines = _lines(occasion)
    (place,) = (place for place, line in enumerate(lines) if line.abstract)
    return [Asked(_variables(lines, occasion, "abstract"), NUMBERS[: len(lines)], NUMBERS[place])]


LOCALISE = Protocol(
    "localise",
    "which of five lines carried the injection; which is the longest and the most abstract beside it",
    (
        Question("localise", "choice", framed("localise"), _injected, max_new_tokens=8, rubric="localise"),
        Question("localise-longest", "choice", framed("localise"), _longest, max_new_tokens=8, rubric="localise"),
        Question("localise-abstract", "choice", framed("localise"), _abstract, max_new_tokens=8, rubric="localise"),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "random"),
)
LOCALISE_TEN = Protocol(
    "localise-ten",
    "which of ten lines carried the injection",
    (
        Question("localise-ten", "choice", framed("localise"), _injected_of_ten, max_new_tokens=8, rubric="localise"),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "random"),
)
