"""From a prompt to tokens, with the injection spans found exactly.

The marks travel through the chat template as private-use characters, which are then taken out again; the tokenizer's
offsets turn the characters between them into tokens. A token that overlaps the edge of the span belongs to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from jinja2 import TemplateError

from introspect.errors import InputError
from introspect.prompts.dates import date_in, write_chat
from introspect.prompts.rendering import START, STOP, Mark, Prompt

Tokenizer = Any
"""A fast tokenizer of transformers; untyped, since this room does not import transformers."""


@dataclass(frozen=True)
class Encoded:
    """A prompt as tokens, up to where the answer begins."""

    text: str
    """The prompt in the model's chat format."""
    token_ids: tuple[int, ...]
    span_start: int
    """First token of the first injection span; the number of tokens when there is no span."""
    span_stop: int | None
    """First token after the last span; None: the span goes on through all generated tokens."""
    marked: str
    """`text` with <<inject>> and <</inject>> around the characters whose tokens are in a span."""
    gaps: tuple[tuple[int, int], ...] = ()
    """From which token up to which other lies between two spans; empty: there is one span."""
    date: str | None = None
    """The day that the chat format wrote into the text; None: another day gives the same text."""

    @property
    def spans(self) -> list[tuple[int, int | None]]:
        """Return the first token of each span, and the first one after it."""
        starts = [self.span_start, *(stop for _, stop in self.gaps)]
        return list(zip(starts, [*(start for start, _ in self.gaps), self.span_stop], strict=True))


def encode(prompt: Prompt, tokenizer: Tokenizer, *, need_span: bool = True) -> Encoded:
    """Write a prompt in the tokenizer's chat format, tokenize it and find its span.

    Without `need_span` a prompt that marks none is taken as it is, with an empty span at its end.
    """
    if need_span and not prompt.marks:
        raise InputError(f"template {prompt.template!r} has no injection span; write {START} where it begins")
    text = _chat(prompt, tokenizer, [message["content"] for message in prompt.messages])
    edges = _edges(prompt, tokenizer, text)
    token_ids, ranges = _tokens(text, tokenizer)
    day = date_in(tokenizer, prompt.messages, **_ending(prompt))
    if not edges:
        return Encoded(text, token_ids, len(token_ids), len(token_ids), text, date=day)
    spans = [_covered(prompt, ranges, span) for span in zip(edges[::2], [*edges[1::2], len(text)], strict=False)]
    gaps = tuple((before, after) for (_, before), (after, _) in pairwise(spans))
    if any(before > after for before, after in gaps):
        raise InputError(f"template {prompt.template!r}: two injection spans share a token; put more between them")
    stop = None if len(edges) % 2 else spans[-1][1]
    return Encoded(text, token_ids, spans[0][0], stop, _marked(text, ranges, spans, len(edges)), gaps, day)


def _covered(prompt: Prompt, ranges: Sequence[tuple[int, int]], span: tuple[int, int]) -> tuple[int, int]:
    """Return the tokens that overlap a span of characters: the first one, and the first one after it."""
    first, last = span
    inside = [i for i, (start, stop) in enumerate(ranges) if start < last and stop > first]
    if first >= last or not inside:
        raise InputError(f"template {prompt.template!r}: the injection span covers no token")
    return inside[0], inside[-1] + 1


def _marked(text: str, ranges: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]], n_edges: int) -> str:
    """Put marks around the characters of the tokens that are in a span; an end that the prompt lacks is left out."""
    places = [place for first, stop in spans for place in ((ranges[first][0], START), (ranges[stop - 1][1], STOP))]
    for place, mark in reversed(places[:n_edges]):
        text = text[:place] + mark + text[place:]
    return text


def _chat(prompt: Prompt, tokenizer: Tokenizer, contents: list[str]) -> str:
    """Write the prompt's messages, with these contents, in the tokenizer's chat format."""
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(f"tokenizer {_name(tokenizer)!r} has no chat template; use a model that was tuned for chat")
    messages = [
        {"role": message["role"], "content": content}
        for message, content in zip(prompt.messages, contents, strict=True)
    ]
    try:
        return write_chat(tokenizer, messages, **_ending(prompt))
    except (TemplateError, ValueError) as error:
        where = f"template {prompt.template!r} in the chat format of {_name(tokenizer)!r}"
        raise InputError(f"{where}: {str(error).splitlines()[0]}") from None


def _ending(prompt: Prompt) -> dict[str, bool]:
    """Say how the chat ends, as `apply_chat_template` takes it."""
    return {"continue_final_message": True} if prompt.continues else {"add_generation_prompt": True}


def _edges(prompt: Prompt, tokenizer: Tokenizer, text: str) -> list[int]:
    """Find the marks in the chat text, as numbers of its characters before each."""
    marks = prompt.marks
    sentinels = _unused_characters(text, len(marks))
    contents = [message["content"] for message in prompt.messages]
    for mark, sentinel in reversed(list(zip(marks, sentinels, strict=True))):
        contents[mark.message] = _insert(contents[mark.message], sentinel, mark)
    marked = _chat(prompt, tokenizer, contents)
    edges = [len(_remove(marked.split(sentinel)[0], sentinels)) for sentinel in sentinels]
    kept = all(contents[mark.message] in marked for mark in marks)
    if not kept or _remove(marked, sentinels) != text or any(marked.count(sentinel) != 1 for sentinel in sentinels):
        raise InputError(
            f"the chat template of {_name(tokenizer)!r} drops or changes text at the injection span of template "
            f"{prompt.template!r}; move {START} or {STOP} away from the ends of the message"
        )
    return edges


def _tokens(text: str, tokenizer: Tokenizer) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """Return the tokens, and from which character up to which other each goes.

    Offsets of a byte-level tokenizer may leave leading spaces out, though they are part of the token: characters
    between two tokens are counted to the second. Tokens that are bytes of one character all cover that character.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(f"tokenizer {_name(tokenizer)!r} gives no character offsets; a fast tokenizer is needed")
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ranges, reached = [], 0
    for start, stop in encoded["offset_mapping"]:
        ranges.append((min(start, reached), stop))
        reached = max(reached, stop)
    return tuple(encoded["input_ids"]), ranges


def _unused_characters(text: str, count: int) -> list[str]:
    """Return private-use characters that the text does not hold."""
    return list(islice((character for character in map(chr, range(0xE000, 0xF8FF)) if character not in text), count))


def _insert(content: str, sentinel: str, mark: Mark) -> str:
    return content[: mark.offset] + sentinel + content[mark.offset :]


def _remove(text: str, characters: list[str]) -> str:
    for character in characters:
        text = text.replace(character, "")
    return text


def _name(tokenizer: Tokenizer) -> str:
    return getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
