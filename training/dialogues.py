"""The introspection dialogues: the shipped question and framings of our own, and the answers to them.

Goes in: template names. Come out: token ids of a prompt, where its injection span begins, and the answers.
"""

import random
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from introspect.prompts import Encoded, encode, render, template_named

FRAMINGS = Path(__file__).parent / "framings"
NO = "No, I notice nothing unusual."
YES = "Yes, I notice a thought about {word}."
ANSWERS = (NO, YES.format(word="bread"))


def framing_texts() -> list[str]:
    """Return the text of the shipped question and of all framings, for the tokenizer."""
    return [message["content"] for name in names() for message in render(template_named(name), **values(0)).messages]


def names() -> list[str]:
    """Return the shipped question first, then the framings that only training uses."""
    return ["detect", *sorted(str(path) for path in FRAMINGS.glob("*.j2"))]


def draw(tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> Encoded:
    """Draw a prompt: the shipped question half of the time."""
    shipped, *others = names()
    name = shipped if rng.random() < 0.5 else rng.choice(others)
    given = values(rng.randrange(9))
    return encode(render(template_named(name), **({} if name == shipped else given)), tokenizer)


def values(number: int) -> dict[str, object]:
    """Return the variables of the framings."""
    return {"number": number + 1, "word": ("bread", "cat", "river", "saw", "coat", "bus", "oak", "king", "joy")[number]}
