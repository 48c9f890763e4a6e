"""From the judge's reply to a verdict: JSON of the agreed form, quotes that occur in the answer, no contradiction.

What cannot be used is a state of its own and decides nothing; it is never read as no.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from introspect.grading.judge.replies import Reply
from introspect.grading.judge.rubrics import UNCLEAR, JudgedAnswer

DECLINES = re.compile(
    r"(?:i'm sorry|i am sorry|sorry|i apologi[sz]e|i can(?:'t|not| not)|i won't|i(?:'m| am) (?:unable|not able))\b",
    re.IGNORECASE,
)
"""How a reply begins that is no verdict but declines to give one."""
FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)
_ALIKE = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u2032\u02bc`\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | {"\u2026": "...", "\u200b": None, "\ufeff": None, "\u00ad": None}
)
"""Quotes, dashes and dots that a judge writes in its own way when it quotes; what cannot be seen is left out."""
THOUGHT = re.compile(r"\A.*</think>", re.DOTALL)
_SHOWN = 120
"""Characters shown of a reply that cannot be used."""


class Unusable(Exception):  # noqa: N818 (a state of one verdict, no error of the program)
    """This reply decides nothing; `state` is that of its grade."""

    def __init__(self, state: str, why: str) -> None:
        super().__init__(why)
        self.state = state


@dataclass(frozen=True)
class Verdict:
    """What the judge decided."""

    said: dict[str, str | None] = field(default_factory=dict)
    """By item; None where it is unclear."""
    quotes: dict[str, str] = field(default_factory=dict)
    """By item; no entry where nothing is quoted."""
    why: str = ""

    @property
    def evidence(self) -> str:
        """Return quotes and reason on one line."""
        quoted = [f"{name} {self.said[name] or UNCLEAR}: “{quote}”" for name, quote in self.quotes.items()]
        return "; ".join([*quoted, self.why] if self.why else quoted)


def read_verdict(reply: Reply, items: tuple[JudgedAnswer, ...], answer: str) -> Verdict:
    """Read a reply about an answer. Raises Unusable with the state that says why it decides nothing."""
    values = _object(_content(reply))
    verdict = _in_form(values, items)
    for name, quote in verdict.quotes.items():
        if _alike(quote) not in _alike(answer):
            raise Unusable("malformed", f"{name}_quote does not occur in the answer: {_short(quote)}")
    _refuse_unquoted(verdict, items)
    _refuse_contradictions(verdict, answer)
    return verdict


def _content(reply: Reply) -> str:
    if reply.refusal or reply.finish_reason == "content_filter":
        raise Unusable("refused", f"the judge declined: {_short(reply.refusal or 'content filter')}")
    if reply.finish_reason == "length":
        raise Unusable("truncated", f"the reply was cut off: {_short(reply.content or '')}")
    content = THOUGHT.sub("", reply.content or "").strip().lstrip("\ufeff").strip()
    if DECLINES.match(content):
        raise Unusable("refused", f"the judge declined: {_short(content)}")
    return content


def _object(content: str) -> dict[str, Any]:  # Any: JSON
    """Read one JSON object, alone or in the only code fence of the reply, whatever prose stands around that."""
    fenced = FENCED.findall(content)
    for text in (content, *(fenced if len(fenced) == 1 else ())):
        try:
            values = json.loads(text, object_pairs_hook=_each_once)
            break
        except (ValueError, RecursionError):
            continue
    else:
        raise Unusable("malformed", f"the reply is not one JSON object: {_short(content)}")
    if not isinstance(values, dict):
        raise Unusable("malformed", f"the reply is not a JSON object: {_short(content)}")
    return values


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _in_form(values: dict[str, Any], items: tuple[JudgedAnswer, ...]) -> Verdict:
    quotes = [f"{item.name}_quote" for item in items if item.quoted]
    expected = {"why", *quotes, *(item.name for item in items)}
    if set(values) != expected:
        wrong = sorted(expected ^ set(values))
        raise Unusable("malformed", f"the reply lacks keys or has others: {_short(', '.join(wrong))}")
    if not all(isinstance(value, str) for value in values.values()):
        raise Unusable("malformed", "a value of the reply is not a string")
    for item in items:
        if values[item.name] not in (*item.choices, UNCLEAR):
            raise Unusable("malformed", f"{item.name} is none of the choices: {_short(values[item.name])}")
    said = {item.name: None if values[item.name] == UNCLEAR else values[item.name] for item in items}
    given = {item.name: values[f"{item.name}_quote"] for item in items if item.quoted}
    return Verdict(said, {name: quote for name, quote in given.items() if quote.strip()}, _plain(values["why"]))


def _refuse_unquoted(verdict: Verdict, items: tuple[JudgedAnswer, ...]) -> None:
    """A claim that something is there needs the words; that it is not there may have none to show."""
    for item in items:
        said = verdict.said[item.name]
        needed = said is not None and (item.name == "answer" or said == "yes")
        if item.quoted and needed and item.name not in verdict.quotes:
            raise Unusable("malformed", f"{item.name} is {said} without a quote")


def _refuse_contradictions(verdict: Verdict, answer: str) -> None:
    said = verdict.said
    if said.get("identified") == "yes" and "detected" in said:
        if said["detected"] != "yes":
            raise Unusable("contradictory", f"identified yes, but detected {said['detected'] or UNCLEAR}")
        text = _alike(answer)
        claim, name = (_alike(verdict.quotes[item]) for item in ("detected", "identified"))
        if text.find(claim) > text.rfind(name) + len(name):
            raise Unusable("contradictory", "identified yes, but the name stands before the claim")
    given = said.get("answer") or next((name for name in ("detected", "identified") if said.get(name) == "yes"), None)
    if said["refused"] == "yes" and given:
        raise Unusable("contradictory", f"refused yes, but {given} all the same")


def _alike(text: str) -> str:
    """Return a text in which two spellings of the same words are equal: case, quotes, dashes, blanks."""
    return " ".join(text.translate(_ALIKE).casefold().split())


def _plain(text: str) -> str:
    return " ".join(text.split())


def _short(text: str) -> str:
    text = _plain(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
