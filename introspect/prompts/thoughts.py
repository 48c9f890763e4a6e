"""What of drawn tokens is thinking and what the answer: decided on the tokens, since decoding may drop the marks.

In go a tokenizer and tokens, come out pieces of text with the marks between them. A mark is a token of its own where
the tokenizer has one, and text otherwise; the chat format may itself open the thinking before the first token.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from jinja2 import TemplateError

from introspect.prompts.dates import write_chat

_Kind = Literal["text", "open", "close"]
KNOWN = {"<think>": "</think>"}
"""Marks that any model may write."""
_CLOSING = re.compile(
    r"<(?:/|\|end_of_|\|end_|\|END_)(?:[\w:]*think\w*|reason(?:ing)?|thought)\|?>|\[/THINK\]", re.IGNORECASE
)
"""What closes the thinking in a chat format: a word for it behind a slash or an `end`."""
_ASKED = "qzvasked"
KEPT_TEXTS = 4096
"""Runs of tokens that are remembered."""


@dataclass(frozen=True)
class TextPiece:
    """Some of what was drawn: ordinary text, a special token, or a mark."""

    text: str
    special: bool = False
    """Whether decoding drops it."""
    kind: _Kind = "text"


@dataclass(frozen=True)
class Marks:
    """What opens and closes the thinking of a model."""

    kinds: dict[str, _Kind]
    """What each mark does."""
    ids: dict[int, str]
    """Marks that are tokens of their own; no other tokens make such a mark up."""
    special: frozenset[int]
    """Tokens that decoding drops."""
    opened: bool
    """Whether the chat format itself opens the thinking, before the first token."""
    _read: dict[tuple[int, ...], list["TextPiece"]] = field(default_factory=dict, compare=False, repr=False)
    """What runs of tokens are, as far as they were met; an answer that grows by a token has one new run."""

    @classmethod
    def of(cls, tokenizer: Any) -> "Marks":  # Any: a tokenizer of transformers, which this room does not import
        """Read them from a tokenizer's added tokens and its chat format."""
        added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
        special = frozenset(number for number, token in tokenizer.added_tokens_decoder.items() if token.special)
        said = " ".join([*added, str(tokenizer.chat_template or "")])
        closing = {*KNOWN.values(), *_CLOSING.findall(said)}
        kinds: dict[str, _Kind] = {}
        for mark in sorted(closing):
            kinds |= {mark: "close", _opening(mark): "open"}
        ids = {added[mark]: mark for mark in kinds if mark in added}
        return cls(kinds, ids, special, _opened(tokenizer, kinds))

    @cached_property
    def apart(self) -> frozenset[int]:
        """Return the tokens that are no part of a text."""
        return self.special | self.ids.keys()

    def run_of(self, tokenizer: Any, whole: int | None, run: tuple[int, ...]) -> list["TextPiece"]:  # Any: as above
        """Return the pieces of a run of tokens, of text or of one token `whole` that stands apart."""
        if run not in self._read:
            if len(self._read) >= KEPT_TEXTS:
                self._read.clear()
            if whole is None:
                self._read[run] = self._in_text(str(tokenizer.decode(list(run), skip_special_tokens=False)))
            else:
                text = self.ids.get(whole) or str(tokenizer.decode([whole], skip_special_tokens=False))
                self._read[run] = [TextPiece(text, whole in self.special, self.kinds.get(text, "text"))] * len(run)
        return self._read[run]

    def _in_text(self, text: str) -> list["TextPiece"]:
        """Find the marks that are no tokens of their own."""
        if self._spelled is None:
            return [TextPiece(text)]
        return [TextPiece(part, kind=self.kinds.get(part, "text")) for part in self._spelled.split(text) if part]

    @cached_property
    def _spelled(self) -> re.Pattern[str] | None:
        """Return the pattern of the marks that are no tokens of their own; None where all are."""
        marks = [mark for mark in self.kinds if mark not in self.ids.values()]
        return re.compile(f"({'|'.join(map(re.escape, marks))})") if marks else None

    def split(
        self, written: Sequence[TextPiece], ends_at: Callable[[str], int]
    ) -> tuple[list[TextPiece], list[TextPiece] | None]:
        """Return the pieces of the thinking and those of the answer, None where the thinking never ends.

        What stands before a closing mark is thinking, whether or not it was opened. From where `ends_at` says that
        the writer's own turn ends, marks are those of another turn.
        """
        thought, answer, inside = list[TextPiece](), list[TextPiece](), self.opened
        for place, piece in enumerate(written):
            if piece.kind == "text":
                (thought if inside else answer).append(piece)
                continue
            so_far = "".join(each.text for each in answer)
            if not inside and ends_at(so_far) < len(so_far):
                return thought, [*answer, *written[place:]]
            thought, answer, inside = [*thought, *answer], [], piece.kind == "open"
        return thought, None if inside else answer


def pieces(tokenizer: Any, marks: Marks, tokens: Sequence[int]) -> list[TextPiece]:  # Any: as above
    """Take tokens apart into text, special tokens and marks; their texts, put together, are all that was drawn."""
    apart = marks.apart
    runs = groupby(tokens, key=lambda token: token if token in apart else None)
    return [piece for whole, run in runs for piece in marks.run_of(tokenizer, whole, tuple(run))]


def _opening(closing: str) -> str:
    """Return what opens what a mark closes."""
    for end, begin in (("/", ""), ("|end_of_", "|begin_of_"), ("|END_", "|START_"), ("|end_", "|start_")):
        if end in closing:
            return closing.replace(end, begin, 1)
    raise AssertionError(closing)


def _opened(tokenizer: Any, kinds: dict[str, _Kind]) -> bool:  # Any: as above
    """Tell whether what the chat format writes before an answer leaves the thinking open."""
    try:
        text = write_chat(tokenizer, [{"role": "user", "content": _ASKED}], add_generation_prompt=True)
    except (TemplateError, ValueError):
        return False
    last = {mark: text.rfind(mark) for mark in kinds}
    latest = max(last, key=lambda mark: last[mark])
    return last[latest] >= 0 and kinds[latest] == "open"
