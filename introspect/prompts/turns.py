"""Where a model's own turn ends, and what of it is thinking. In go a tokenizer and drawn tokens, comes out a Turn.

What a model writes as the other speaker, or as a next trial, is not its answer. A turn is opened by a role marker of
the tokenizer's chat format, by one of ChatML or of a plain dialogue, or by a trial with a number of its own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from jinja2 import TemplateError

from introspect.prompts.dates import write_chat
from introspect.prompts.thoughts import Marks, TextPiece, pieces

OPENERS = (
    r"<\|im_start\|>",
    r"(?:(?<=\n)|^)[ \t*#>]*(?:user|human|system|assistant)(?:[*]*:|[ \t]*\n)",
    r"(?:(?<=\n)|^|(?<=[.!?\"”*] ))[ \t*#>]*trial #?\d+[*]*(?:[:.)\n]|[ \t]+[-\u2013\u2014\n])",
)
"""What opens a turn in ChatML, in a plain dialogue and in our own questions: the last at the start of a line or of a
sentence. Each is complete with its last character, so that more text cannot undo it."""
_OWN = (r"assistant[*]*:", r"(?:<\|im_start\|>)?assistant\n", r"trial #?\d+[*]*[-:.)\u2013\u2014\s]")
"""What may stand before the answer all the same: its own opening, written once more."""
_PROBE = ("qzvuserone", "qzvanswer", "qzvusertwo")
"""Contents of a dialogue from which the role markers of a chat format are read."""


@dataclass(frozen=True)
class Turn:
    """What was drawn, taken apart."""

    thinking: str
    """What was thought before the answer, without its marks; empty where nothing was."""
    text: str
    """The answer; empty where the thinking never ends."""
    cut: str
    """What was written from the next turn's opening on; empty where the model kept to its own."""


def own_turn(text: str, opened_by: Sequence[str] = ()) -> int:
    """Return the number of characters of a text that are its writer's own turn, by its words alone.

    `opened_by` are role markers of the chat format besides those known for every model, the assistant's first.
    """
    leads, openers = _patterns(tuple(opened_by))
    lead = leads.match(text)
    found = openers.search(text, lead.end() if lead else 0)
    return len(text) if found is None else found.start()


class Turns:
    """Takes what a model draws apart, by the tokenizer's own chat format.

    Nothing hangs on how the tokens came, so that a stored answer is read as one that is just being written.
    """

    def __init__(self, tokenizer: Any) -> None:  # Any: a tokenizer of transformers, which this room does not import
        self._tokenizer = tokenizer
        self._may_end: dict[int, bool] = {}

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def read(self, tokens: Sequence[int]) -> Turn:
        """Take drawn tokens apart, with or without an end-of-turn token behind them."""
        thought, answer = self._marks.split(pieces(self._tokenizer, self._marks, tokens), self._ends_at)
        if answer is None:
            return Turn(_plain(thought), "", "")
        whole = "".join(piece.text for piece in answer)
        end = self._ends_at(whole)
        text = _plain(_up_to(answer, end)) if thought or end < len(whole) else self.decode(tokens)
        text = text.lstrip() if thought else text
        return Turn(_plain(thought), text.rstrip() if end < len(whole) else text, whole[end:])

    def over(self, tokens: Sequence[int]) -> bool:
        """Tell whether the last of the tokens has opened another turn; cheap where it cannot have."""
        return self._may(tokens[-1]) and bool(self.read(tokens).cut)

    @cached_property
    def markers(self) -> tuple[str, ...]:
        """List the role markers of the chat format: what it writes between two messages, without what ends the first.

        Empty where it cannot write a dialogue.
        """
        first, answer, second = _PROBE
        said = [("user", first), ("assistant", answer), ("user", second)]
        try:
            text = write_chat(self._tokenizer, [{"role": role, "content": content} for role, content in said])
        except (TemplateError, ValueError):
            return ()
        if not all(text.count(each) == 1 for each in _PROBE):
            return ()
        between = (text.split(first)[1].split(answer)[0], text.split(answer)[1].split(second)[0])
        return tuple(dict.fromkeys(filter(None, (self._opening(each) for each in between))))

    @cached_property
    def _marks(self) -> Marks:
        return Marks.of(self._tokenizer)

    def _opening(self, between: str) -> str:
        """Return the part of what stands between two messages that opens the second: behind the tokens that end a turn.

        Without white space at its ends. A marker without any letter or bracket (a mere line break) is none.
        """
        ends = "|".join(map(re.escape, sorted(_turn_ends(self._tokenizer), key=len, reverse=True)))
        opening = re.sub(rf"^\s*(?:(?:{ends})\s*)+", "", between) if ends else between
        return opening.strip() if re.search(r"\w|[<\[]", opening) else ""

    def _ends_at(self, text: str) -> int:
        return own_turn(text, self.markers)

    def _may(self, token: int) -> bool:
        """Tell whether a token can complete an opener or end the thinking before one."""
        if token not in self._may_end:
            text = str(self._tokenizer.decode([token]))
            last = {marker[-1] for marker in self.markers} | set(":.)>-\n\u2013\u2014\ufffd")
            self._may_end[token] = any(character in last for character in text)
        return self._may_end[token]


def _turn_ends(tokenizer: Any) -> set[str]:  # Any: as above
    """Return the special tokens that a chat format may write behind a message."""
    special = {str(each) for each in tokenizer.added_tokens_decoder.values() if each.special}
    ends = {each for each in special if re.search(r"end|eot|eos|</s>", each, re.IGNORECASE)}
    return ends | ({str(tokenizer.eos_token)} if tokenizer.eos_token else set())


@cache
def _patterns(markers: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile what may lead an answer, and what opens another turn."""
    leads = [*_OWN, *(re.escape(marker) for marker in markers[:1])]
    openers = [*(_marker(marker) for marker in markers), *OPENERS]
    lead = re.compile(rf"(?:[\s*#>]*(?:{'|'.join(leads)}))*", re.IGNORECASE)
    return lead, re.compile("|".join(openers), re.IGNORECASE)


def _marker(marker: str) -> str:
    """Write the pattern of a role marker: one without brackets could be a word, and has to begin a line."""
    anywhere = re.search(r"[<\[{|]", marker)
    return re.escape(marker) if anywhere else rf"(?:(?<=\n)|^)[ \t]*{re.escape(marker)}"


def _plain(written: Iterable[TextPiece]) -> str:
    """Return the text of pieces, without special tokens."""
    return "".join(piece.text for piece in written if not piece.special)


def _up_to(written: Sequence[TextPiece], stop: int) -> Iterator[TextPiece]:
    """Yield the pieces that make up the first `stop` characters, the last of them cut where need be."""
    for piece in written:
        if stop > 0:
            yield replace(piece, text=piece.text[:stop])
        stop -= len(piece.text)
