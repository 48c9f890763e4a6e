"""From a trial and the answer to it to the question that is put to the judge.

A rubric is a template in `grading/rubrics`, one for each kind of question. It sees the concept, the options and what
was shown to the model in every arm, never the arm, the site, the strength or the right answer. The answer itself goes
into the second message, between two marks that do not occur in it, and is nowhere read as a template.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Template as Compiled
from jinja2 import UndefinedError

from introspect.errors import InputError
from introspect.grading.judge.replies import JudgeQuestion
from introspect.prompts.template import ENVIRONMENT, Template
from introspect.protocols import PROTOCOLS, WRITTEN, kind_of, question_named
from introspect.records.trial import Trial

_SHOWN = ("question", "sentence", "sentences")
"""The variables that a rubric may see; others, such as the position of the injection, would give the arm away."""

YES_NO = ("yes", "no")
UNCLEAR = "unclear"


@dataclass(frozen=True)
class JudgedAnswer:
    """One thing that the judge decides on."""

    name: str
    choices: tuple[str, ...]
    """What it may say, besides unclear."""
    quoted: bool = True
    """Whether it has to quote the words on which it rests."""


OF_ANY = JudgedAnswer("coherent", YES_NO, quoted=False), JudgedAnswer("refused", YES_NO)
"""What is asked of any answer; `reply` says what it means."""


def items(trial: Trial) -> tuple[JudgedAnswer, ...]:
    """List what is to be decided of an answer to this trial, in the order in which it is asked for."""
    kind = kind_of(trial.question)
    if kind == "noticing":
        return (*OF_ANY, JudgedAnswer("detected", YES_NO), JudgedAnswer("identified", YES_NO))
    offered = () if kind in WRITTEN else trial.options
    return (*OF_ANY, JudgedAnswer("answer", offered or YES_NO))


def rubrics() -> dict[str, str]:
    """Return the rubric of each question that has one, as it says itself."""
    asked = (question for protocol in PROTOCOLS.values() for question in protocol.questions)
    return {question.name: question.rubric for question in asked if question.rubric is not None}


def is_judged(trial: Trial) -> bool:
    """Tell whether there is anything to judge. Raises InputError for a question that no rubric is made for."""
    return _rubric_of(trial) is not None


def question(trial: Trial, answer: str) -> JudgeQuestion:
    """Write down what the judge is asked about one answer."""
    rubric = _rubric_of(trial)
    if rubric is None:
        raise InputError(f"question {trial.question!r} is silent: there is no answer to judge")
    told = {"concept": trial.concept, "kind": kind_of(trial.question), "options": trial.options}
    shown = {name: value for name, value in trial.variables if name in _SHOWN}
    return written(rubric, items(trial), answer, variables=shown, **told)


def written(rubric: str, decided: tuple[JudgedAnswer, ...], answer: str, **told: object) -> JudgeQuestion:
    """Fill a rubric with what it is told, and put it before the answer."""
    parts = [_filled(rubric, **told), _filled("reply", keys=_keys(decided))]
    messages = (
        {"role": "system", "content": "\n\n".join(parts)},
        {"role": "user", "content": _filled("answer", answer=answer, mark=mark(answer))},
    )
    return JudgeQuestion(rubric, rubric_hash(rubric), messages, _schema(decided))


def _rubric_of(trial: Trial) -> str | None:
    """Return the rubric of a trial's question, None where it is silent. Raises InputError where it names none."""
    asked = question_named(trial.question)
    if asked.kind == "silent":
        return None
    if asked.rubric is None:
        raise InputError(
            f"question {asked.name!r} names no rubric for the judge: give its Question one, such as rubric='detect'"
        )
    return asked.rubric


def mark(answer: str) -> str:
    """Make a mark from the whole answer, which therefore cannot hold it; the same for the same answer."""
    return f"answer {hashlib.sha256(answer.encode()).hexdigest()[:32]}"


@cache
def rubric_hash(rubric: str) -> str:
    """Return the hash of the templates of all that the judge is told under a rubric."""
    told = [_template(name).source for name in (rubric, "reply", "answer")]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]


def _keys(decided: tuple[JudgedAnswer, ...]) -> dict[str, str]:
    """Name the keys of the reply and say what each holds."""
    keys = {"why": "one sentence"}
    for item in decided:
        if item.quoted:
            keys[f"{item.name}_quote"] = f"the words on which {item.name} rests, empty if there are none"
        keys[item.name] = " or ".join(json.dumps(choice) for choice in (*item.choices, UNCLEAR))
    return keys


def _schema(decided: tuple[JudgedAnswer, ...]) -> str:
    properties: dict[str, dict[str, object]] = {"why": {"type": "string"}}
    for item in decided:
        if item.quoted:
            properties[f"{item.name}_quote"] = {"type": "string"}
        properties[item.name] = {"type": "string", "enum": [*item.choices, UNCLEAR]}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return json.dumps(schema, separators=(",", ":"))


def _filled(name: str, **variables: object) -> str:
    try:
        return _compiled(name).render(variables).strip()
    except UndefinedError as error:
        raise InputError(f"rubric {name!r}: {error.message}; it does not fit the questions of this run") from None


@cache
def _compiled(name: str) -> Compiled:
    return ENVIRONMENT.from_string(_template(name).source)


@cache
def _template(name: str) -> Template:
    return Template(name, (files("introspect.grading") / "rubrics" / f"{name}.j2").read_text(encoding="utf-8"))
