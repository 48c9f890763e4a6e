"""From a filled-in template to chat messages, with the injection span as marks between their characters.

`<<user>>`, `<<assistant>>`, `<<system>>` alone on a line start a message; `<<inject>>` starts the span and
`<</inject>>` ends it.
"""

import re
from dataclasses import dataclass

from introspect.errors import InputError
from introspect.prompts.template import Template

ROLES = ("system", "user", "assistant")
START, STOP = "<<inject>>", "<</inject>>"
_ROLE_LINE = re.compile(rf"^<<({'|'.join(ROLES)})>>[ \t]*$", re.MULTILINE)
_INJECT_MARK = re.compile("(<</?inject>>)")


@dataclass(frozen=True)
class Mark:
    """A place between two characters of a message's content."""

    message: int
    offset: int
    """Number of characters of the content before the mark."""


@dataclass(frozen=True)
class Prompt:
    """Chat messages without marks, and where the injection spans begin and end in them."""

    template: str
    """Name of the template, for messages to the user."""
    messages: tuple[dict[str, str], ...]
    """Each with `role` and `content`, as chat templates take them."""
    marks: tuple[Mark, ...] = ()
    """Where the first span begins and ends, then the second one, and so on; empty: the template marks no span. Where
    the last end is missing, the span goes on through the end of the prompt and all generated tokens."""

    @property
    def continues(self) -> bool:
        """Tell whether the answer goes on from a last message that is the assistant's own."""
        return self.messages[-1]["role"] == "assistant"


def render(template: Template, *, written: str = "", **variables: object) -> Prompt:
    """Fill a template in and read its messages and marks.

    `written` is put into the text where the first span begins, in place of a thought that is injected.
    """
    before, *parts = _ROLE_LINE.split(template.fill(**variables))
    if not parts:
        raise InputError(f"template {template.name!r} has no message; write <<user>> alone on a line before the text")
    if before.strip():
        raise InputError(f"template {template.name!r}: text before the first message: {_short(before)!r}")
    messages: list[dict[str, str]] = []
    marks: list[Mark] = []
    for role, text in zip(parts[::2], parts[1::2], strict=True):
        content = _without_marks(template, len(messages), text.strip("\n"), marks, written)
        if not content.strip():
            raise InputError(f"template {template.name!r}: message {len(messages) + 1} (<<{role}>>) is empty")
        messages.append({"role": role, "content": content})
    return Prompt(template.name, tuple(messages), tuple(marks))


def _without_marks(template: Template, message: int, text: str, marks: list[Mark], written: str) -> str:
    """Take the marks out of one message's text, put in what is written, and note in `marks` where they stood."""
    content = ""
    for piece in _INJECT_MARK.split(text):
        if piece not in (START, STOP):
            content += piece
        elif (piece == START) == bool(len(marks) % 2):
            other = "an open span" if piece == START else f"{START} before it"
            raise InputError(f"template {template.name!r}: {piece} {'within' if piece == START else 'without'} {other}")
        else:
            marks.append(Mark(message, len(content)))
            content += f"{written} " if written and len(marks) == 1 else ""
    if "<<" in content:
        known = ", ".join([f"<<{role}>> alone on a line" for role in ROLES] + [START, STOP])
        where = _short(content[content.index("<<") :])
        raise InputError(f"template {template.name!r}: unknown mark at {where!r}; known: {known}")
    return content


def _short(text: str) -> str:
    line = text.strip().split("\n")[0]
    return line if len(line) <= 40 else f"{line[:37]}..."
