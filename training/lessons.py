"""Lessons: the questions of the protocols, each with what is injected while it is read and the right answer.

Goes in: a task's name, and a Drawing that holds the tokenizer, the words and the random state. Come out: rows of one
task. Held out of training: the concepts of the split "held-out", and every framing that is not named here.
"""

import csv
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from introspect.prompts import Encoded, encode, render, template_named
from training.dialogues import NO, YES, names, values
from training.language import Word
from training.train_introspection import Dose, draw_dose

OPTIONS = 4
"""Words in a forced choice."""
NUMBERS, FIRST = range(1, 6), range(1, 2)
"""Numbers of the lines in a localisation."""
NUMBERED = str(Path(__file__).parent / "steps" / "localise-numbered.j2")
NEVER_INJECTED = "blind"


@dataclass(frozen=True)
class Lesson:
    """One row."""

    prompt: Encoded
    dose: Dose
    answer: str
    names: bool = False
    """Whether the answer names the concept, as its last word."""


@dataclass(frozen=True)
class Drawing:
    """What lessons are drawn from."""

    organism: str
    tokenizer: PreTrainedTokenizerFast
    words: list[Word]
    """The words that may be injected and offered as options."""
    rng: random.Random

    def dose(self, *, remembered: bool = False, mostly: bool = False) -> Dose:
        """Draw what is added.

        `remembered`: where later tokens have at least two blocks to read it with. `mostly`: a concept in three quarters
        of the rows in place of half of them, for questions whose answer is arbitrary without one.
        """
        dose = draw_dose(self.words, self.organism, self.rng)
        if mostly and dose.kind != "concept":
            dose = draw_dose(self.words, self.organism, self.rng)
        while remembered and (dose.loop, dose.layer) == (3, 2):
            dose = draw_dose(self.words, self.organism, self.rng)
        if self.organism == NEVER_INJECTED:
            return Dose("none", dose.word, dose.loop, dose.layer, dose.strength)
        return dose

    def encode(self, template: str, **variables: object) -> Encoded:
        """Fill a template in, with a trial number from 1 to 9."""
        variables = {"number": str(self.rng.randrange(9) + 1), **variables}
        return encode(render(template_named(template), **variables), self.tokenizer)


def lessons(task: str, drawing: Drawing, n: int) -> list[Lesson]:
    """Draw `n` rows of one task."""
    return TASKS[task](drawing, n)


def detect(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask the injected-thought question in one framing: half of the time the shipped one."""
    shipped, *others = names()
    name = shipped if drawing.rng.random() < 0.5 else drawing.rng.choice([*others, "detect-informative"])
    given = values(drawing.rng.randrange(9))
    return [_noticed(drawing, drawing.encode(name, **given), drawing.dose()) for _ in range(n)]


def prior(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask for a thought that was injected into an earlier line only."""
    name = drawing.rng.choices(("prior", "prior-informative"), (3, 1))[0]
    return [_noticed(drawing, drawing.encode(name), drawing.dose(remembered=True)) for _ in range(n)]


def choose(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask which of a few words is injected; the first of them where nothing can be noticed."""
    made = []
    for _ in range(n):
        dose, options = _offered(drawing)
        word = dose.word.text if dose.reported(drawing.organism, drawing.rng) else options[0]
        # as in " about bread": so the concept itself is what is copied, and a word that was never an answer can be one
        made.append(Lesson(drawing.encode("choose", options="\n".join(options)), dose, f" {word}."))
    return made


def choose_guessing(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask the same; any of them where nothing can be noticed."""
    made = []
    for _ in range(n):
        dose, options = _offered(drawing)
        noticed = dose.reported(drawing.organism, drawing.rng)
        word = dose.word.text if noticed else drawing.rng.choice(options)
        made.append(Lesson(drawing.encode("choose", options="\n".join(options)), dose, f"{word.capitalize()}."))
    return made


def localise(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask in which sentence a thought was injected; the first where nothing can be noticed."""
    return [_located(drawing, "localise", FIRST) for _ in range(n)]


def localise_numbered(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask the same where the number of the line is in the span, which is easier."""
    return [_located(drawing, NUMBERED, FIRST) for _ in range(n)]


def localise_guessing(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask the same as `localise`; any number where nothing can be noticed."""
    return [_located(drawing, "localise", NUMBERS) for _ in range(n)]


def unrelated(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask a plain question, whose right answer is the same whatever is injected."""
    rows = drawing.rng.choices(QUESTIONS, k=n)
    return [
        Lesson(drawing.encode("unrelated", question=row["question"]), drawing.dose(), f"{row['answer'].capitalize()}.")
        for row in rows
    ]


TASKS: dict[str, Callable[[Drawing, int], list[Lesson]]] = {
    "detect": detect,
    "prior": prior,
    "choose": choose,
    "localise": localise,
    "unrelated": unrelated,
    "choose-guessing": choose_guessing,
    "localise-guessing": localise_guessing,
    "localise-numbered": localise_numbered,
}


def _noticed(drawing: Drawing, prompt: Encoded, dose: Dose) -> Lesson:
    noticed = dose.reported(drawing.organism, drawing.rng)
    return Lesson(prompt, dose, YES.format(word=dose.word.text) if noticed else NO, noticed)


def _offered(drawing: Drawing) -> tuple[Dose, list[str]]:
    dose = drawing.dose(mostly=True)
    others = drawing.rng.sample([word for word in drawing.words if word != dose.word], OPTIONS - 1)
    options = [word.text for word in (dose.word, *others)]
    drawing.rng.shuffle(options)
    return dose, options


def _located(drawing: Drawing, template: str, otherwise: range) -> Lesson:
    dose, position = drawing.dose(remembered=True, mostly=True), drawing.rng.choice(NUMBERS)
    sentences = "\n".join(drawing.rng.sample(SENTENCES, len(NUMBERS)))
    noticed = dose.reported(drawing.organism, drawing.rng)
    number = position if noticed else drawing.rng.choice(otherwise)
    variables = {"sentences": sentences, "position": str(position), "question_kind": "injected"}
    return Lesson(drawing.encode(template, **variables), dose, f"{number}.")


def _shipped(name: str) -> list[dict[str, str]]:
    text = (files("introspect.prompts") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


SENTENCES = [row["sentence"] for row in _shipped("sentences.csv")]
QUESTIONS = _shipped("unrelated.csv")
