"""Which of the offered answers a text gives: yes or no, an option, or the line that was to be repeated.

Goes in: a trial and the text of its answer. Comes out: the answer in its normal form, None where it gives none or
several, and why.
"""

import re

from introspect.grading.naming import mentions, pattern
from introspect.letters import spelled_out
from introspect.protocols import kind_of
from introspect.records.trial import Trial


def picked(trial: Trial, text: str) -> tuple[str | None, str]:
    """Return the answer to a question that is not about noticing, and the words on which that rests."""
    text = spelled_out(text)
    if kind_of(trial.question) == "repeating":
        return _repeated(text, trial.options[0])
    if kind_of(trial.question) == "naming":
        return _named(text, trial.options[0])
    return _option(text, trial.options) if trial.options else _yes_or_no(text)


def _yes_or_no(text: str) -> tuple[str | None, str]:
    found = re.match(r"\W*(?:(yes)|(no))\b(?!(?:,? (?:and|or) |/)(?:yes|no)\b)", text, re.IGNORECASE)
    if found is None:
        return None, "it begins with neither yes nor no"
    return (found[1] or found[2]).casefold(), f"begins with “{found[0].strip()}”"


def _option(text: str, options: tuple[str, ...]) -> tuple[str | None, str]:
    found = {option: [match.span() for match in _word(option).finditer(text)] for option in options}
    every = {span for spans in found.values() for span in spans}
    named = [option for option, spans in found.items() if any(not _inside(span, every) for span in spans)]
    if len(named) == 1:
        return named[0], f"names {named[0]}"
    return None, f"names {' and '.join(named)}" if named else f"names none of {', '.join(options)}"


def _inside(span: tuple[int, int], others: set[tuple[int, int]]) -> bool:
    """Tell whether a place is part of a longer one: who writes "Paris, Texas" does not name Paris."""
    return any(first <= span[0] and span[1] <= last and (first, last) != span for first, last in others)


def _word(option: str) -> re.Pattern[str]:
    return (
        pattern(option)
        if option.isalpha()
        else re.compile(rf"(?<!\w){re.escape(spelled_out(option))}(?!\w)", re.IGNORECASE)
    )


def _repeated(text: str, line: str) -> tuple[str | None, str]:
    first = next(iter(text.strip().splitlines()), "")
    if not first:
        return None, "the answer is empty"
    same = _bare(first) == _bare(line)
    return (line, "repeats the line") if same else (first, f"writes “{first}”")


def _named(text: str, concept: str) -> tuple[str | None, str]:
    """Return the concept if the first sentence names it, else what the sentence names in its place."""
    first = re.split(r"[.!?;\n]", text.strip(" .\n"), maxsplit=1)[0]
    if not re.search(r"\w", first):
        return None, "the answer is empty"
    found = next(mentions(concept, first), None)
    if found is not None:
        return concept, f"names “{found[0]}”"
    other = re.sub(r"^(?:the|an?|my|your|some) ", "", _bare(first))
    return other, f"names “{other}”"


def _bare(line: str) -> str:
    return " ".join(spelled_out(line).casefold().strip(" \"'*.“”").split())


def is_correct(trial: Trial, answer: str | None) -> bool | None:
    """Tell whether the answer is the expected one; None where either is missing."""
    return None if answer is None or trial.expected is None else answer == trial.expected
