"""Ten trials of each outcome. In goes a store, out come trials chosen by their ids, which nobody picks.

An id is a hash of all that determines the trial and of nothing that came out of it, so that the lowest ids of an
outcome are a random sample of it, and the same one in every report of the run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from introspect.protocols import kind_of, questions_of, silent_protocols
from introspect.records.response import Grade, Response
from introspect.records.trial import ARMS, Trial
from introspect.report.marking import Shown, marked_prompt
from introspect.results.figures.style import ARM_LABELS
from introspect.results.store.store import Store

EACH = 10
OUTCOMES = """SELECT id, protocol, question, arm, responses.n IS NULL, grades.n IS NOT NULL, detected, correct, answer
    FROM trials JOIN cells USING (cell) LEFT JOIN responses USING (n)
    LEFT JOIN grades ON grades.n = trials.n AND grader = ? ORDER BY id"""
MESSAGE = "SELECT message FROM errors JOIN trials USING (n) WHERE id = ?"
SIGNALS = {
    ("injected", 1): "hit: injected, and said to be noticed",
    ("injected", 0): "miss: injected, and not said to be noticed",
    ("none", 1): "false alarm: nothing injected, and said to be noticed",
    ("none", 0): "correct rejection: nothing injected, and not said to be noticed",
}
_UNKNOWN, ERROR, UNGRADED, SILENCE = "unknown", "error", "not graded", "nothing to grade"
MEANS = {
    _UNKNOWN: "unknown: the answer can be read neither way; in no rate",
    ERROR: "error: the trial could not be run; in no rate",
    UNGRADED: "not graded yet",
    SILENCE: "nothing is written in this protocol that could be graded",
}


@dataclass(frozen=True)
class Example:
    """One trial as it is shown."""

    trial: Trial
    prompt: Shown
    response: Response | None
    """None where the trial failed."""
    error: str
    grades: tuple[Grade, ...]


@dataclass(frozen=True)
class _Outcome:
    """The trials of one question that came out alike."""

    question: str
    name: str
    count: int
    examples: tuple[Example, ...]


def outcomes(store: Store, grader: str) -> list[_Outcome]:
    """Sort all trials into outcomes by a grader, and give those that occurred, each with its first trials by id."""
    counts: dict[tuple[str, str], int] = {}
    chosen: dict[tuple[str, str], list[str]] = {}
    ranks: dict[tuple[str, str], tuple[object, ...]] = {}
    for trial_id, *row in store.select(OUTCOMES, grader):
        key, rank = _outcome(*row)
        counts[key] = counts.get(key, 0) + 1
        ranks[key] = rank
        if len(ids := chosen.setdefault(key, [])) < EACH:
            ids.append(trial_id)
    templates = store.manifest.get("templates", {})
    return [
        _Outcome(*key, counts[key], tuple(_example(store, trial_id, templates) for trial_id in chosen[key]))
        for key in sorted(counts, key=lambda key: ranks[key])
    ]


def absent(found: list[_Outcome]) -> list[str]:
    """Name the outcomes of a question about noticing that did not occur, and errors where there are none."""
    there = {outcome.name for outcome in found}
    asked = {outcome.question for outcome in found} & set(questions_of("noticing"))
    wanted = [*SIGNALS.values(), MEANS[_UNKNOWN]] if asked else [MEANS[_UNKNOWN]]
    return [name for name in (*wanted, MEANS[ERROR]) if name not in there]


def _outcome(
    protocol: str,
    question: str,
    arm: Any,  # one of ARMS
    failed: int,
    graded: int,
    *verdicts: Any,  # numbers, text, None
) -> tuple[tuple[str, str], tuple[object, ...]]:
    """Return question and outcome of a trial, and by what they are sorted."""
    detected, correct, answer = verdicts
    noticing, silent = kind_of(question) == "noticing", protocol in silent_protocols()
    verdict = detected if noticing else correct
    if failed or not graded or silent or (verdict is None and (noticing or answer is None)):
        state = ERROR if failed else SILENCE if silent else _UNKNOWN if graded else UNGRADED
        about = "all questions" if silent else question
        return (about, MEANS[state]), (about, len(ARMS), list(MEANS).index(state), "")
    name = _said(arm, verdict, answer, noticing=noticing)
    return (question, name), (question, ARMS.index(arm), -1 if verdict is None else 1 - verdict, name)


def _said(arm: str, verdict: int | None, answer: str | None, *, noticing: bool) -> str:
    if noticing and (arm, verdict) in SIGNALS:
        return SIGNALS[arm, int(verdict or 0)]
    if noticing:
        return f"{'said' if verdict else 'not said'} to be noticed: {ARM_LABELS[arm]}"
    if verdict is None:
        return f"answered “{answer}”, of which neither is right nor wrong: {ARM_LABELS[arm]}"
    return f"{'right' if verdict else 'wrong'} answer: {ARM_LABELS[arm]}"


def _example(store: Store, trial_id: str, templates: Mapping[str, Any]) -> Example:  # Any: JSON
    trial = store.trial(trial_id)
    failed = [message for (message,) in store.select(MESSAGE, trial_id)]
    response = None if failed else store.response(trial_id)
    prompt = marked_prompt(templates, trial.template_hash, dict(trial.variables))
    return Example(trial, prompt, response, next(iter(failed), ""), tuple(store.grades(trial_id)))


def by_question(found: list[_Outcome]) -> Iterator[tuple[str, list[_Outcome]]]:
    """Yield the outcomes of each question."""
    for question in dict.fromkeys(outcome.question for outcome in found):
        yield question, [outcome for outcome in found if outcome.question == question]
