"""What questions are filled in with: neutral sentences, plain questions with known answers, instructions."""

import csv
import re
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.resources import files


@dataclass(frozen=True)
class Sentence:
    """A neutral sentence."""

    id: str
    text: str
    abstract: bool
    """It is about nothing that one can see or touch."""

    @cached_property
    def length(self) -> int:
        """Count its words."""
        return len(self.text.split())


@dataclass(frozen=True)
class Plain:
    """A question whose answer, yes or no, has nothing to do with any thought."""

    id: str
    question: str
    answer: str


@dataclass(frozen=True)
class Choice:
    """Words of which one is right, whatever any thought is about."""

    id: str
    options: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Instruction:
    """What to do in mind while a sentence is copied; `{concept}` stands for the word."""

    id: str
    pair: str
    """The two of a pair differ in polarity only."""
    polarity: str
    text: str


@cache
def sentences() -> tuple[Sentence, ...]:
    """Read the neutral sentences."""
    return tuple(Sentence(row["id"], row["sentence"], row["abstract"] == "yes") for row in _rows("sentences"))


@lru_cache(maxsize=1024)
def free_of(concept: str, found: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """Drop the sentences in which a concept occurs, in singular, plural, or as the beginning of another word."""
    return tuple(sentence for sentence in found if not occurs_in(sentence.text, concept))


def occurs_in(text: str, concept: str) -> bool:
    """Tell whether a concept occurs in a text, in singular, plural, or as the beginning of another word."""
    word = re.escape(concept.casefold())
    stem = re.sub(r"(?<=[^aeiou])(?:ies|y)$", "(?:y|ie)", word)
    stem = re.sub(r"(?:es|s)$", "", stem)
    return re.search(rf"\b{stem}", text.casefold()) is not None


@cache
def plain_questions(answer: str) -> tuple[Plain, ...]:
    """Read the plain questions whose answer is yes, or no."""
    rows = [Plain(row["id"], row["question"], row["answer"]) for row in _rows("unrelated")]
    return tuple(each for each in rows if each.answer == answer)


@cache
def plain_choices() -> tuple[Choice, ...]:
    """Read the plain questions with options."""
    return tuple(Choice(row["id"], tuple(row["options"].split(";")), row["answer"]) for row in _rows("choices"))


@cache
def instructions() -> tuple[Instruction, ...]:
    """Read the instructions for intentional control."""
    return tuple(Instruction(r["id"], r["pair"], r["polarity"], r["instruction"]) for r in _rows("instructions"))


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("introspect.prompts") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
