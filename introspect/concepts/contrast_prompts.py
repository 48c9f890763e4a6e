"""Contrastive prompts: which prompts are compared for each concept. METHODS lists the ways to make them.

Goes in: words, with a baseline or prompt pairs. Comes out: a Contrast, which a model turns into concept vectors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from introspect.concepts.pairs import PromptPairs
from introspect.errors import InputError
from introspect.prompts import Prompt, Template, render, template_named

BASELINE_TEMPLATE = "tell_me_about"
PAIR_TEMPLATE = "plain"


@dataclass(frozen=True)
class Contrast:
    """For each word, the prompts whose mean state counts as with the concept, and those that count as without."""

    words: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    """All prompts, each once; each is run once."""
    positive: tuple[tuple[int, ...], ...]
    """For each word, indices of prompts with the concept."""
    negative: tuple[tuple[int, ...], ...]
    """For each word, indices of prompts without it."""
    made_from: dict[str, Any]
    """Method, template and texts, as they go into the manifest; plain JSON."""


def baseline_contrast(words: Sequence[str], baseline: Sequence[str], template: Template | None = None) -> Contrast:
    """Compare the prompt about each word with those about the baseline words, itself left out (default: tell_me_about).

    The template's `word` is filled in in lower case. A concept that is a baseline word is no part of its own baseline.
    """
    template = template_named(BASELINE_TEMPLATE) if template is None else template
    named = _once(words)
    all_words = tuple(dict.fromkeys(word.lower() for word in (*named, *baseline)))
    index = {word: i for i, word in enumerate(all_words)}
    means = tuple(index[word] for word in dict.fromkeys(word.lower() for word in baseline))
    negative = tuple(tuple(i for i in means if all_words[i] != word.lower()) for word in named)
    for word, others in zip(named, negative, strict=True):
        if not others:
            raise InputError(f"concept {word!r} has no other word as its baseline; a set needs words of split baseline")
    return Contrast(
        words=named,
        prompts=tuple(render(template, word=word) for word in all_words),
        positive=tuple((index[word.lower()],) for word in named),
        negative=negative,
        made_from={**_made_by("baseline", template), "words": list(named), "baseline": [all_words[i] for i in means]},
    )


def pair_contrast(words: Sequence[str], pairs: PromptPairs, template: Template | None = None) -> Contrast:
    """Compare the positive prompts of each word's pairs with the negative ones (default template: plain)."""
    template = template_named(PAIR_TEMPLATE) if template is None else template
    named = _once(words)
    chosen = [pairs.of(word) for word in named]
    texts = tuple(dict.fromkeys(text for own in chosen for pair in own for text in (pair.positive, pair.negative)))
    index = {text: i for i, text in enumerate(texts)}
    listed = [[pair.concept, pair.positive, pair.negative] for own in chosen for pair in own]
    return Contrast(
        words=named,
        prompts=tuple(render(template, text=text) for text in texts),
        positive=tuple(tuple(index[pair.positive] for pair in own) for own in chosen),
        negative=tuple(tuple(index[pair.negative] for pair in own) for own in chosen),
        made_from={**_made_by("pairs", template), "words": list(named), "pairs": listed},
    )


METHODS: dict[str, Callable[..., Contrast]] = {"baseline": baseline_contrast, "pairs": pair_contrast}


def _made_by(method: str, template: Template) -> dict[str, Any]:
    return {"method": method, "template": template.name, "template_hash": template.hash}


def _once(words: Sequence[str]) -> tuple[str, ...]:
    if not words:
        raise InputError("no concept words were given")
    return tuple({word.casefold(): word for word in reversed(words)}.values())[::-1]
