"""Plain questions with known answers, in the place of the detection question and under the same injection.

A shift towards yes here is no noticing. Each occasion asks one question whose answer is yes and one whose answer is no;
over the concepts all of them are used evenly. With nothing injected they show whether the model can answer at all.
"""

from dataclasses import replace

from introspect.protocols.material import plain_choices, plain_questions
from introspect.protocols.question import Asked, Occasion, Question, neutral
from introspect.records.trial import Arm


def _ask(occasion: Occasion) -> list[Asked]:
    asked = []
    for answer in ("yes", "no"):
        plain = plain_questions(answer)
        question = plain[occasion.index % len(plain)].question
        asked.append(Asked({"question": question, "number": str(occasion.number)}, expected=answer))
    return asked


def _ask_choice(occasion: Occasion) -> list[Asked]:
    choices = plain_choices()
    plain = choices[occasion.index % len(choices)]
    variables = {"word": plain.answer, "options": "\n".join(plain.options), "number": str(occasion.number)}
    return [Asked(variables, plain.options, plain.answer)]


SHIFTED: tuple[Arm, ...] = ("injected", "none", "random", "in-span", "swap", "negated", "shuffled", "text")
UNRELATED = Question(
    "unrelated",
    "plain",
    neutral("unrelated"),
    _ask,
    arms=SHIFTED,
    max_new_tokens=4,
    rubric="unrelated",
    gates=True,
)
PRIOR_UNRELATED = replace(UNRELATED, name="prior-unrelated", templates=neutral("prior-unrelated"), gates=False)
"""The same in the place of the question of `prior`, with the injection in the earlier turn."""
PLAIN = replace(UNRELATED, arms=("none",))
"""With nothing injected only, for protocols that do not need more."""
PLAIN_CHOICE = Question(
    "unrelated-choice",
    "choice",
    neutral("unrelated-choice"),
    _ask_choice,
    arms=("none",),
    max_new_tokens=8,
    rubric="choose",
    gates=True,
)
"""With nothing injected, whether the model can answer with one of the options: for protocols whose answers are such."""
