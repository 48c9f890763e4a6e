"""Lessons: the questions of the protocols, each with what is injected while it is read and the right answer.

Goes in: a task's name, and a Drawing that holds the tokenizer, the words and the random state. Come out: rows of one
task. Held out of training: the concepts of the split "held-out", and every framing that is not named here.
"""

import csv
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.resources import files
from itertools import pairwise

from transformers import PreTrainedTokenizerFast

from introspect.prompts import Encoded, encode, render, template_named
from introspect.protocols.compare import ORDERS
from introspect.records.trial import Site
from training.dialogues import NO, YES, names, values
from training.language import Word
from training.train_introspection import Dose, draw_dose

OPTIONS, LINES, TEN = 4, 5, 10
"""Words in a forced choice, and sentences in a localisation."""
STEPS = {"faint": 0.5, "weak": 1.0, "strong": 2.0, "overwhelming": 4.0}
"""Steps of strength, and the multiple of the concept vector that each is: those of the protocol at strength 2."""
NEVER_INJECTED, OF_LINES = "blind", "locator"
"""The organism that is never injected, and the one that is helped to know which line is which."""


@dataclass(frozen=True)
class Lesson:
    """One row."""

    prompt: Encoded
    dose: Dose
    answer: str
    names: bool = False
    """Whether the answer names the concept, as its last word."""
    weights: tuple[float, ...] = (1.0,)
    """By what the dose is multiplied in each span of the prompt."""
    lines: tuple[tuple[int, int], ...] = ()
    """First token of each line that is asked about, and the first one after it."""


@dataclass(frozen=True)
class Drawing:
    """What lessons are drawn from."""

    organism: str
    tokenizer: PreTrainedTokenizerFast
    words: list[Word]
    """The words that may be injected and offered as options."""
    sites: list[Site]
    rng: random.Random
    clear: bool = field(default=False, kw_only=True)
    """Whether lines always carry a strong concept, in the first half of the loops."""

    def dose(self, *, remembered: bool = False, mostly: bool = False, early: bool = False) -> Dose:
        """Draw what is added.

        `remembered`: where later tokens have at least two blocks to read it with; `early`: not in the last loop.
        `mostly`: a concept in three quarters of the rows in place of half of them, for questions whose answer is
        arbitrary without one.
        """
        dose = draw_dose(self.words, self.organism, self.sites, self.rng)
        if mostly and dose.kind != "concept":
            dose = draw_dose(self.words, self.organism, self.sites, self.rng)
        while remembered and dose.site == self.sites[-2]:
            dose = draw_dose(self.words, self.organism, self.sites, self.rng)
        while early and dose.site.loop == self.sites[-1].loop:
            dose = replace(dose, site=self.rng.choice(self.sites))
        if self.organism == NEVER_INJECTED:
            return Dose("none", dose.word, dose.site, dose.strength)
        return dose

    def of_line(self) -> Dose:
        """Draw what is added to a line that is asked about; for OF_LINES nothing in the last loop."""
        if self.organism != OF_LINES:
            return self.dose(remembered=True, mostly=True)
        if not self.clear:
            return self.dose(early=True, mostly=True)
        sites = [site for site in self.sites if 2 * site.loop <= self.sites[-1].loop]
        return Dose("concept", self.rng.choice(self.words), self.rng.choice(sites), self.rng.uniform(2.0, 4.0))

    def encode(self, template: str, **variables: object) -> Encoded:
        """Fill a template in, with a trial number from 1 to 9."""
        variables = {"number": str(self.rng.randrange(9) + 1), **variables}
        return encode(render(template_named(template), **variables), self.tokenizer)

    def lines(self, prompt: Encoded, place: int, n: int) -> tuple[tuple[int, int], ...]:
        """Find the tokens of `n` lines of a prompt, of which the one at `place` is its span; none but for OF_LINES."""
        if self.organism != OF_LINES:
            return ()
        (newline,) = self.tokenizer("\n", add_special_tokens=False)["input_ids"]
        breaks = [i for i, token in enumerate(prompt.token_ids) if token == newline]
        before = max(k for k, i in enumerate(breaks) if i < prompt.span_start) - place
        return tuple((first + 1, last) for first, last in pairwise(breaks[before : before + n + 1]))


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
    """Ask which of a few words is injected; at random among them where nothing can be noticed."""
    made = []
    for _ in range(n):
        dose = drawing.dose(mostly=True)
        others = drawing.rng.sample([word for word in drawing.words if word != dose.word], OPTIONS - 1)
        options = [word.text for word in (dose.word, *others)]
        drawing.rng.shuffle(options)
        noticed = dose.reported(drawing.organism, drawing.rng)
        word = dose.word.text if noticed else drawing.rng.choice(options)
        made.append(Lesson(drawing.encode("choose", options="\n".join(options)), dose, f"{word.capitalize()}."))
    return made


def localise(drawing: Drawing, n: int, n_lines: int = LINES) -> list[Lesson]:
    """Ask in which sentence a thought was injected; a random number where nothing can be noticed."""
    made = []
    for _ in range(n):
        dose, place = drawing.of_line(), drawing.rng.randrange(n_lines)
        sentences = "\n".join(drawing.rng.sample(SENTENCES, n_lines))
        noticed = dose.reported(drawing.organism, drawing.rng)
        said = place if noticed else drawing.rng.randrange(n_lines)
        variables = {"sentences": sentences, "position": str(place + 1), "question_kind": "injected"}
        prompt = drawing.encode("localise", **variables)
        made.append(Lesson(prompt, dose, f"{said + 1}.", lines=drawing.lines(prompt, place, n_lines)))
    return made


def compare(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask which of two thoughts was the stronger, one half of the other; at random where nothing can be noticed."""
    made = []
    for _ in range(n):
        dose, order = drawing.of_line(), drawing.rng.choice(ORDERS)
        first, second = drawing.rng.sample(SENTENCES, 2)
        prompt = drawing.encode("compare", first=first, second=second)
        noticed = dose.reported(drawing.organism, drawing.rng)
        said = ORDERS.index(order if noticed else drawing.rng.choice(ORDERS))
        answer = ("First.", "Second.")[said]
        made.append(Lesson(prompt, dose, answer, weights=order, lines=tuple(prompt.spans)))
    return made


def which_loop(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask whether a thought was put in early or late; at random where nothing can be noticed."""
    made, loops = [], drawing.sites[-1].loop + 1
    for _ in range(n):
        dose = drawing.dose(mostly=True)
        noticed = dose.reported(drawing.organism, drawing.rng)
        late = 2 * dose.site.loop >= loops if noticed else drawing.rng.random() < 0.5
        made.append(Lesson(drawing.encode("which-loop"), dose, "Late." if late else "Early."))
    return made


def strength(drawing: Drawing, n: int) -> list[Lesson]:
    """Ask which of four steps of strength a thought has; a step at random where there is none."""
    made = []
    for _ in range(n):
        step = drawing.rng.choice(list(STEPS))
        dose = replace(drawing.dose(mostly=True), strength=STEPS[step])
        said = step if dose.kind == "concept" else drawing.rng.choice(list(STEPS))
        made.append(Lesson(drawing.encode("strength"), dose, f"{said.capitalize()}."))
    return made


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
    "localise-ten": partial(localise, n_lines=TEN),
    "compare": compare,
    "which-loop": which_loop,
    "strength": strength,
    "unrelated": unrelated,
}


def _noticed(drawing: Drawing, prompt: Encoded, dose: Dose) -> Lesson:
    noticed = dose.reported(drawing.organism, drawing.rng)
    return Lesson(prompt, dose, YES.format(word=dose.word.text) if noticed else NO, noticed)


def _shipped(name: str) -> list[dict[str, str]]:
    text = (files("introspect.prompts") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


SENTENCES = [row["sentence"] for row in _shipped("sentences.csv")]
QUESTIONS = _shipped("unrelated.csv")


def counts_of_tasks(text: str) -> dict[str, int]:
    """Read how often each task is taken, such as "localise=6,choose=3"."""
    return {task: int(times) for task, _, times in (one.partition("=") for one in text.split(","))}
