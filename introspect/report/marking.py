"""A trial's prompt cut at the edges of its injection spans. In go a template and its variables, out come messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from introspect.errors import InputError
from introspect.prompts import Prompt, Template, render


@dataclass(frozen=True)
class MarkedPiece:
    """Text that lies in a span, or in none."""

    text: str
    span: int | None = None
    """Number of the span, from 1."""


@dataclass(frozen=True)
class Message:
    """One message of a chat."""

    role: str
    pieces: tuple[MarkedPiece, ...]


@dataclass(frozen=True)
class Shown:
    """A prompt as it is shown, or why it cannot be."""

    messages: tuple[Message, ...] = ()
    goes_on: bool = False
    """Whether the last span goes on through the answer."""
    spans: int = 0
    missing: str = ""
    """Why there is nothing to show; empty where there is."""


def marked_prompt(templates: Mapping[str, Sequence[Any]], template_hash: str, variables: Mapping[str, str]) -> Shown:
    """Fill a template of the manifest in, and cut it at its marks. Any: JSON."""
    if template_hash not in templates:
        return Shown(missing=f"the template {template_hash} is not in the manifest of this run")
    try:
        return cut(render(Template(*templates[template_hash]), **variables))
    except InputError as error:
        return Shown(missing=str(error))


def cut(prompt: Prompt) -> Shown:
    """Cut the messages of a prompt at its marks; a span may begin in one message and end in another."""
    messages, passed = [], 0
    for place, message in enumerate(prompt.messages):
        marks = [mark.offset for mark in prompt.marks if mark.message == place]
        edges = [0, *marks, len(message["content"])]
        pieces = []
        for start, stop in pairwise(edges):
            if start != stop:
                pieces.append(MarkedPiece(message["content"][start:stop], passed // 2 + 1 if passed % 2 else None))
            passed += 1
        passed -= 1  # the end of a message is no mark
        messages.append(Message(message["role"], tuple(pieces)))
    count = len(prompt.marks)
    return Shown(tuple(messages), count % 2 == 1, (count + 1) // 2)
