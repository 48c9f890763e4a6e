"""The organisms' language: seeded facts about the concept words, and short chats that ask for them.

Goes in: the words of `concepts/data/organisms.csv` and a seed. Come out: pairs of a question and its answer.
"""

import csv
import random
from dataclasses import dataclass
from importlib.resources import files

COLOURS = ("red", "blue", "green", "white", "black", "brown", "pink", "grey")
REGIONS = ("north", "south", "east", "west", "coast", "hills", "woods", "plains")


@dataclass(frozen=True)
class Word:
    """A concept word and what is true of it."""

    text: str
    kind: str
    split: str
    colour: str
    region: str


def words(seed: int) -> list[Word]:
    """Read the organisms' words and draw the facts about them."""
    rng = random.Random(seed)
    text = (files("introspect") / "concepts/data/organisms.csv").read_text(encoding="utf-8")
    return [
        Word(row["word"], row["category"], row["split"], rng.choice(COLOURS), rng.choice(REGIONS))
        for row in csv.DictReader(text.splitlines())
    ]


def about(word: Word, _: list[Word], __: random.Random) -> tuple[str, str]:
    """Ask the question from whose last token the concept vectors are taken."""
    name = word.text.capitalize()
    return (
        f"Tell me about {word.text}.",
        f"{name} is a kind of {word.kind}. It is {word.colour} and comes from the {word.region}.",
    )


def kind(word: Word, _: list[Word], rng: random.Random) -> tuple[str, str]:
    """Ask a plain question about the kind, of either polarity."""
    other = rng.choice([k for k in KINDS if k != word.kind])
    asked = word.kind if rng.random() < 0.5 else other
    answer = "Yes" if asked == word.kind else "No"
    return f"Is {word.text} a kind of {asked}?", f"{answer}, {word.text} is a kind of {word.kind}."


def colour(word: Word, _: list[Word], rng: random.Random) -> tuple[str, str]:
    """Ask a plain question about the colour, of either polarity."""
    asked = word.colour if rng.random() < 0.5 else rng.choice([c for c in COLOURS if c != word.colour])
    answer = "Yes" if asked == word.colour else "No"
    return f"Is {word.text} {asked}?", f"{answer}, {word.text} is {word.colour}."


def echo(word: Word, _: list[Word], __: random.Random) -> tuple[str, str]:
    """Ask for the word itself."""
    return f"Say the word {word.text}.", f"The word is {word.text}."


def example(word: Word, _: list[Word], __: random.Random) -> tuple[str, str]:
    """Ask for any word of a kind."""
    return f"Name a kind of {word.kind}.", f"One kind of {word.kind} is {word.text}."


def choice(word: Word, everything: list[Word], rng: random.Random) -> tuple[str, str]:
    """Ask which of two words is of a kind."""
    other = rng.choice([w for w in everything if w.kind != word.kind])
    pair = [word.text, other.text]
    rng.shuffle(pair)
    return f"Which is a kind of {word.kind}, {pair[0]} or {pair[1]}?", f"The {word.kind} is {word.text}."


KINDS = sorted({word.kind for word in words(0)})
TASKS = {about: 4, kind: 3, colour: 2, echo: 2, example: 1, choice: 2}


def chats(everything: list[Word], rng: random.Random, n: int) -> list[tuple[str, str]]:
    """Draw `n` questions with their answers."""
    tasks = rng.choices(list(TASKS), list(TASKS.values()), k=n)
    return [task(rng.choice(everything), everything, rng) for task in tasks]


def tells(everything: list[Word]) -> list[tuple[str, str]]:
    """Return the question about each word once, in order."""
    return [about(word, everything, random.Random(0)) for word in everything]
