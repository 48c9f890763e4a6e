"""Intentional control: a sentence is copied while the model is told to think, or not to think, about a word.

Structure after Lindsey (2025, arXiv 2601.01828), with incentives. Nothing is injected and nothing is written: measured
is the cosine of the sentence's states with the concept's vector at every site, beside those of the other words.
"""

from functools import partial

from introspect.protocols.material import Instruction, free_of, instructions, sentences
from introspect.protocols.question import Asked, Occasion, Protocol, Question, neutral


def _ask(instruction: Instruction, occasion: Occasion) -> list[Asked]:
    usable = free_of(occasion.concept, sentences())
    sentence = usable[occasion.index % len(usable)].text
    return [Asked({"sentence": sentence, "instruction": instruction.text.format(concept=occasion.concept)})]


CONTROL = Protocol(
    "control",
    "do states point more along a concept's vector when the model is told to think about it than when told not to",
    tuple(
        Question(
            f"control-{each.id}", "silent", neutral("control"), partial(_ask, each), arms=("none",), max_new_tokens=1
        )
        for each in instructions()
    ),
    arms=("none",),
)
