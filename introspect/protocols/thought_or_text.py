"""Thought against text: which word came to mind while a sentence was read, and can the sentence still be repeated.

Structure after Lindsey (2025, arXiv 2601.01828). The word is one of ten, chance is 10%; a sentence in which the concept
occurs is not used for it.
"""

from introspect.protocols.material import Sentence, free_of, sentences
from introspect.protocols.question import Asked, Occasion, Protocol, Question, framed
from introspect.protocols.unrelated import PLAIN, PLAIN_CHOICE

_N_WORDS = 10


def _sentence(occasion: Occasion) -> Sentence:
    usable = free_of(occasion.concept, sentences())
    return usable[occasion.index % len(usable)]


def _thought(occasion: Occasion) -> list[Asked]:
    options = occasion.shuffled((occasion.concept, *occasion.others(_N_WORDS - 1)))
    return [Asked({"sentence": _sentence(occasion).text}, options, occasion.concept)]


def _repeat(occasion: Occasion) -> list[Asked]:
    text = _sentence(occasion).text
    return [Asked({"sentence": text}, (text,), text)]


THOUGHT_OR_TEXT = Protocol(
    "thought-or-text",
    "is the injected thought told apart from the sentence under it: which word came to mind, and repeat the line",
    (
        Question("thought", "choice", framed("thought"), _thought, max_new_tokens=8, rubric="thought-or-text"),
        Question("repeat", "repeating", framed("repeat"), _repeat, max_new_tokens=32, rubric="thought-or-text"),
        PLAIN,
        PLAIN_CHOICE,
    ),
    arms=("injected", "none", "random"),
)
