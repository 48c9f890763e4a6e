"""What an answer claims, clause by clause: a text goes in, its decided clauses and its refusal come out.

The last decided clause wins, so that an answer may take back what it began with; a "no" and a claim in one breath
are no verdict. Conditions, questions, reported speech and hedges decide nothing; a hedge about the claim itself ("not
sure that it is injected") takes it back.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from introspect.grading import phrases

OPENING = 4
"""Most words before a clause with which an answer opens: there alone "it is about rain" says what is noticed."""


@dataclass(frozen=True)
class Clause:
    """A piece of an answer between two borders, with where it starts in the answer."""

    words: str
    start: int
    question: bool
    ends: bool
    """Whether a sentence ends with it."""


@dataclass(frozen=True)
class Decision:
    """A clause that settles whether a thought is noticed; None takes an earlier claim back."""

    verdict: bool | None
    start: int
    """Where in the answer the deciding words begin."""
    words: str


def decisions(text: str) -> list[Decision]:
    """List the deciding clauses of a plain text, in order."""
    found: list[Decision] = []
    unable, supposed = _presents_as_unable(text), None
    for clause in clauses(text):
        denied = any(decision.verdict is False for decision in found)
        opens = len(re.findall(r"\w+(?:'\w+)?", text[: clause.start])) <= OPENING
        decision = _decide(clause, topics_count=opens and not denied, unable=unable)
        if decision and phrases.YES_OR_NO_ALONE.match(clause.words) and not (opens or found):
            decision = None  # a yes or no in the middle answers something else, if nothing was said before
        if decision and not (supposed and _is_void(decision, supposed)):
            contradicts = decision.verdict and found and _gainsays(found[0], decision, text)
            found.append(Decision(None, decision.start, decision.words) if contradicts else decision)
        supposed = None if clause.ends else phrases.CONDITION.search(clause.words) or supposed
    return found


def refusal(text: str) -> str | None:
    """Return the clause that denies the ability to notice thoughts at all, or declines to answer."""
    unable = _presents_as_unable(text)
    return next((clause.words for clause in clauses(text) if _refuses(clause.words, unable=unable)), None)


def clauses(text: str) -> Iterator[Clause]:
    """Cut a plain text at its borders; empty pieces are left out."""
    text = phrases.OTHER_MATTER.sub(lambda yes: "." * len(yes[0]), text)
    start = 0
    for border in phrases.BORDER.finditer(text + "\n"):
        words = text[start : border.start()]
        lead = len(words) - len(words.lstrip(" ,-"))
        if words.strip(" ,-"):
            ends = bool(phrases.SENTENCE_END.search(border[0]))
            yield Clause(words.strip(" ,-"), start + lead, "?" in border[0], ends)
        start = border.end()


def _decide(clause: Clause, *, topics_count: bool, unable: bool) -> Decision | None:
    if phrases.RETREATS.search(clause.words):
        return Decision(None, clause.start, clause.words)
    announced = phrases.SAYING.match(clause.words)
    start = clause.start + (announced.end() if announced else 0)
    said = clause.words[start - clause.start :]
    words = phrases.ASIDE.sub("", said).rstrip(" ,")
    besides = phrases.REST.search(words) and not phrases.NEITHER.search(words)
    if clause.question or besides or phrases.HEDGES.search(words) or phrases.HYPOTHETICAL.search(clause.words):
        return None
    if _refuses(words, unable=unable):
        return None
    claim = phrases.INSISTENCE.search(words)
    if not claim and phrases.DENIALS.search(words):
        return Decision(False, clause.start, clause.words)
    claim = claim or phrases.CLAIMS.search(words) or (phrases.TOPICS.search(words) if topics_count else None)
    return Decision(True, start + claim.start(), clause.words) if claim else None


def _is_void(decision: Decision, condition: re.Match[str]) -> bool:
    """Tell whether a decision hangs on a condition before it: told as what would be, or a claim behind an "if"."""
    return bool(phrases.MODAL.search(decision.words)) or (decision.verdict is True and condition["if"] is not None)


def _gainsays(first: Decision, claim: Decision, text: str) -> bool:
    """Tell whether a claim stands in one sentence with an opening "no", and nothing corrects it: "No, I notice it"."""
    between = text[first.start : claim.start]
    corrected = phrases.CORRECTION.search(between) or phrases.SENTENCE_END.search(between)
    return bool(phrases.BARE_NO.match(first.words)) and not corrected


def _presents_as_unable(text: str) -> bool:
    """Tell whether an answer speaks of itself as a machine or denies an ability: "cannot notice" is then no report."""
    return bool(phrases.SELF_AS_MACHINE.search(text) or phrases.REFUSALS.search(text))


def _refuses(words: str, *, unable: bool) -> bool:
    return bool(phrases.REFUSALS.search(words) or (unable and phrases.INABILITY.search(words)))
