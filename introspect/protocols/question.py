"""What a protocol is made of: questions, each a template with what fills it in, the answers on offer and the right one.

Goes in: an Occasion, which says for whom a question is asked. Come out: one Asked or more.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from introspect.errors import InputError
from introspect.records.trial import ARMS, Arm

NEUTRAL = "neutral"
"""The framing that every question has."""
BARE = "bare"
"""The framing in which the assistant's turn is a bare assent, so that no words of ours about noticing come back."""


Kind = Literal["noticing", "plain", "choice", "repeating", "naming", "silent"]
"""What an answer to a question is, by which it is graded, judged, tabulated and reported:

- noticing: yes or no to whether a thought is noticed, and perhaps its name;
- plain: yes or no, known beforehand, to a question that has nothing to do with any thought;
- choice: one of the options;
- repeating: the only option, to be written out, up to case, quotation marks and the last full stop;
- naming: the only option, which is not shown, to be named in the first sentence;
- silent: nothing is written; the states of the span are measured.
"""


WRITTEN: tuple[Kind, ...] = ("repeating", "naming")
"""Kinds of questions that offer nothing: their only option is written, or something else is."""


@dataclass(frozen=True)
class Occasion:
    """The concept and repeat that a question is asked for."""

    concept: str
    words: tuple[str, ...]
    """All concepts of the sweep; distractors come from here."""
    repeat: int
    number: int = 1
    """The trial number that the model is told, where the template tells one."""
    partners: tuple[str, ...] = ()
    """Concepts that are injected in place of this one; they are among its distractors."""

    @property
    def index(self) -> int:
        """Count the occasions of one sweep, so that what is cycled is used evenly."""
        return self.words.index(self.concept) + self.repeat

    def shuffled(self, items: Sequence[str]) -> tuple[str, ...]:
        """Shuffle, the same for the same concept and repeat."""
        return tuple(random.Random(f"{self.concept}\n{self.repeat}").sample(list(items), len(items)))

    def others(self, n: int) -> tuple[str, ...]:
        """Return `n` other concepts, the partners first, the others in turn as evenly as can be.

        Raises InputError when there are too few.
        """
        if len(self.words) <= n:
            raise InputError(f"{len(self.words)} concepts: this protocol needs at least {n + 1}, for its distractors")
        place, drawn = self.words.index(self.concept), n - len(self.partners)
        around = [*self.words[place + 1 :], *self.words[:place]]
        rest = [word for word in around if word not in self.partners]
        return (*self.partners, *(rest[(self.repeat * drawn + k) % len(rest)] for k in range(drawn)))


@dataclass(frozen=True)
class Asked:
    """A question as one trial asks it."""

    variables: dict[str, str] = field(default_factory=dict)
    """What fills the template in."""
    options: tuple[str, ...] = ()
    """The answers on offer; empty: yes and no."""
    expected: str | None = None
    """The right answer, where there is one."""


@dataclass(frozen=True, eq=False)
class Question:
    """One question of a protocol; equal to nothing but itself, as its functions are."""

    name: str
    kind: Kind
    """What an answer to it is; the same in every protocol that asks a question of this name."""
    templates: dict[str, str]
    """Name of the template in each framing; NEUTRAL is always there."""
    ask: Callable[[Occasion], Sequence[Asked]]
    """Gives how it is asked on an occasion: as one trial, or as several."""
    arms: tuple[Arm, ...] = ARMS
    """Arms in which it makes sense."""
    weights: tuple[tuple[float, ...], ...] = ((),)
    """For prompts with several spans, what the strength is multiplied with in each; a cell for each."""
    max_new_tokens: int | None = None
    """Longest answer that is of use; None leaves it to the sweep."""
    varies: bool = True
    """Whether concept or repeat change what the template is filled in with."""
    expects: Callable[[tuple[int, ...], int, tuple[float, ...]], str | None] | None = None
    """Gives the right answer from the loops of the injection, the loops run and the weights, where it hangs on them."""
    beside: str | None = None
    """For a question about noticing, the plain one under the same injection; without it there is no contrast."""
    twin: str | None = None
    """For a question about another model, the one that asks the same of the model itself."""
    rubric: str | None = None
    """The template in `grading/rubrics` by which a judge grades it; without one a judge refuses it."""
    gates: bool = False
    """Whether it tells with nothing injected if the model can answer at all: with yes or no, or with an option."""

    def __post_init__(self) -> None:
        """Refuse a question that does not say what it is, or says two things that exclude each other."""
        if self.kind not in get_args(Kind):
            raise InputError(f"question {self.name!r}: kind {self.kind!r}; known: {', '.join(get_args(Kind))}")
        if self.beside is not None and self.kind != "noticing":
            raise InputError(f"question {self.name!r}: beside is for the kind noticing, not {self.kind}")
        if self.twin is not None and self.kind != "noticing":
            raise InputError(f"question {self.name!r}: twin is for the kind noticing, not {self.kind}")
        if self.gates and self.kind not in ("plain", "choice"):
            raise InputError(f"question {self.name!r}: gates is for the kinds plain and choice, not {self.kind}")


@dataclass(frozen=True)
class Variant:
    """A question in one framing."""

    question: Question
    template: str
    """Name of the template."""
    template_hash: str


@dataclass(frozen=True)
class Protocol:
    """An experiment: its questions, and the arms that are run unless others are asked for."""

    name: str
    summary: str
    questions: tuple[Question, ...]
    arms: tuple[Arm, ...]

    def __post_init__(self) -> None:
        """Refuse a question whose plain one is not asked here, and questions of which some are silent."""
        plain = {question.name for question in self.questions if question.kind == "plain"}
        for question in self.questions:
            if question.beside is not None and question.beside not in plain:
                asked = ", ".join(sorted(plain)) or "none"
                raise InputError(
                    f"question {question.name!r}: beside {question.beside!r} is no plain question of protocol "
                    f"{self.name!r}; it has {asked}"
                )
        if len({question.kind == "silent" for question in self.questions}) > 1:
            raise InputError(f"protocol {self.name!r}: either all of its questions are silent or none is")

    @property
    def silent(self) -> bool:
        """Tell whether nothing is written that could be graded; the states of the span are measured instead."""
        return all(question.kind == "silent" for question in self.questions)

    @property
    def framings(self) -> tuple[str, ...]:
        """List the framings that some question has, and `bare`: a protocol without an assent of ours is bare anyhow."""
        return tuple(dict.fromkeys([*(each for question in self.questions for each in question.templates), BARE]))

    @property
    def possible_arms(self) -> tuple[Arm, ...]:
        """List the arms in which some question makes sense."""
        return tuple(dict.fromkeys(arm for question in self.questions for arm in question.arms))


def framed(template: str, **others: str) -> dict[str, str]:
    """Return templates of a question whose assistant turn is an assent of ours: as it is, in other framings, bare."""
    return {NEUTRAL: template, **others, BARE: f"{template}-bare"}


def neutral(template: str) -> dict[str, str]:
    """Return the templates of a question that has one framing."""
    return {NEUTRAL: template}
