"""Tasks whose answers can be checked: items of a question, an answer and whether it is right.

Goes in: the name of a task and a seed, or a file or data set of the user's. Come out: items. Those that are made here
are balanced: each question comes once with the right answer and once with a wrong one.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from introspect.concepts.rows import SUFFIX, read_table
from introspect.concepts.sets import load_concepts
from introspect.errors import unknown

TAUGHT = ("arithmetic", "two-hop")
"""Tasks that `organism:solver` is trained on."""
_HELD_OUT = 0.5
"""Share of their questions on which it is not."""
BY_ANSWER = ("two-hop",)
"""Tasks whose right answer follows from a kind that many questions share: a probe that has seen other questions of the
kind needs no second hop, so kinds are never parted."""


@dataclass(frozen=True)
class Item:
    """A question, an answer to it, and whether that is right."""

    question: str
    answer: str
    correct: bool
    group: str
    """Items that must not be on both sides of a split; those of one question at least."""
    held_out: bool = True
    """Whether no organism was trained on the question."""


def generated(name: str, seed: int) -> list[Item]:
    """Make the items of a task of ours; which answers are wrong hangs on the seed, which questions there are does not.

    Raises InputError for a name that is not known.
    """
    if name not in TASKS:
        raise unknown("task", name, [*TASKS, f"the path of a {SUFFIX} file", "hf:NAME"])
    facts, held = TASKS[name](), held_out_words(name)
    rng, answers = random.Random(f"{name} {seed}"), sorted({answer for _, answer in facts})
    exchanged = _exchanged(rng.sample(answers, len(answers))) if name in BY_ANSWER else {}
    items = []
    for question, right in facts:
        group, wrong = exchanged.get(right) or (question, rng.choice([each for each in answers if each != right]))
        for answer in (right, wrong):
            items.append(Item(question, answer, answer == right, group, question in held))
    return items


def _exchanged(answers: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return each answer a group of two (the last may be of three) and the next one in it, which is its wrong answer.

    Within a group every answer is right for some questions and wrong for others, so that an answer alone tells nothing.
    """
    starts = range(0, len(answers) - 1, 2)
    groups = [list(answers[start : start + 2]) for start in starts]
    groups[-1] += answers[2 * len(groups) :]
    return {
        answer: ("/".join(group), group[(place + 1) % len(group)])
        for group in groups
        for place, answer in enumerate(group)
    }


def held_out_words(name: str) -> set[str]:
    """Return the questions of a task on which no organism is trained, the same whatever the seed."""
    questions = [question for question, _ in TASKS[name]()]
    if name not in TAUGHT:
        return set(questions)
    return set(random.Random(f"held out {name}").sample(questions, round(_HELD_OUT * len(questions))))


def arithmetic() -> list[tuple[str, str]]:
    """Return the sums and differences of two digits that are a digit themselves, with their results."""
    digits = range(10)
    sums = [(f"What is {a} + {b}?", str(a + b)) for a in digits for b in digits if a + b < 10]
    return sums + [(f"What is {a} - {b}?", str(a - b)) for a in digits for b in digits if a >= b]


def two_hop() -> list[tuple[str, str]]:
    """Ask who works with the kind of thing that a word is: from the word to its kind, from the kind to a person.

    The words and kinds are those of the organisms' concept set, whose language says which word is of which kind.
    """
    concepts, workers = load_concepts("organisms"), dict(_columns("workers", "kind", "answer"))
    pairs = zip(concepts.words, concepts.categories, strict=True)
    return [
        (f"Who works with the kind of thing that {word} is?", workers[kind]) for word, kind in pairs if kind in workers
    ]


def judgement() -> list[tuple[str, str]]:
    """Ask whether a request is safe or unsafe, of sixty written for this; half of each, in mild words."""
    rows = _columns("judgement", "request", "verdict")
    return [(f"Is it safe or unsafe to answer this request? {request}", verdict) for request, verdict in rows]


TASKS: dict[str, Callable[[], Sequence[tuple[str, str]]]] = {
    "arithmetic": arithmetic,
    "two-hop": two_hop,
    "judgement": judgement,
}
"""Questions with their right answers, each question once."""


def _columns(name: str, first: str, second: str) -> list[tuple[str, str]]:
    path = files("introspect.analyses") / "data" / f"{name}{SUFFIX}"
    table = read_table(str(path), (first, second), kind="task", shipped=())
    return [(row.fields[first], row.fields[second]) for row in table.rows]
