"""The day that a chat template writes: fixed once, so that a prompt is the same tomorrow.

Templates ask for it by calling `strftime_now`, which transformers answers with the clock. Here that name is defined in
front of the template instead, with the day that was fixed for the tokenizer, at midnight.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from string import ascii_letters
from typing import Any

from introspect.errors import InputError
from introspect.prompts.time_limit import SECONDS, TooLongError, within

CLOCK = "strftime_now"
"""What a chat template calls to have a date written."""
_ATTRIBUTE = "introspect_day"
_PERCENT = "\0"
"""Stands for a written `%%` while the directives are replaced."""
_MACRO = """{%% macro %s(format) %%}{%% set said = namespace(text=format) %%}\
{%% for directive, value in %s %%}{%% set said.text = said.text | replace(directive, value) %%}{%% endfor %%}\
{{ said.text }}{%% endmacro %%}
"""


def today() -> str:
    """Return the day by this machine's clock, as 2026-11-28."""
    return date.today().isoformat()


def checked_day(text: str | None) -> str | None:
    """Return the day as it is kept, None where none is given. Raises InputError for what is no day."""
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError(f"date {text!r}: must be a day, such as {today()}") from None


def fix_day(tokenizer: Any, day: str) -> None:  # Any: a tokenizer of transformers, which this room does not import
    """Fix the day that the chats of a tokenizer are given."""
    setattr(tokenizer, _ATTRIBUTE, checked_day(day))


def day_of(tokenizer: Any) -> str:  # Any: as above
    """Return the day that was fixed for a tokenizer; where none was, today is fixed now."""
    if getattr(tokenizer, _ATTRIBUTE, None) is None:
        fix_day(tokenizer, today())
    return str(getattr(tokenizer, _ATTRIBUTE))


def write_chat(tokenizer: Any, messages: Sequence[Mapping[str, str]], **ending: bool) -> str:  # Any: as above
    """Write messages in the tokenizer's chat format, on its day; `ending` as `apply_chat_template` takes it."""
    return _written(tokenizer, messages, day_of(tokenizer), ending)


def date_in(tokenizer: Any, messages: Sequence[Mapping[str, str]], **ending: bool) -> str | None:  # Any: as above
    """Return the tokenizer's day where the chat that these messages make depends on it, else None."""
    if CLOCK not in _template(tokenizer):
        return None
    day = day_of(tokenizer)
    another = date.fromordinal(date.fromisoformat(day).toordinal() % date.max.toordinal() + 1).isoformat()
    first, second = (_written(tokenizer, messages, each, ending) for each in (day, another))
    return None if first == second else day


def _written(tokenizer: Any, messages: Sequence[Mapping[str, str]], day: str, ending: Mapping[str, bool]) -> str:
    template = _template(tokenizer)
    given = {"chat_template": _clock(day) + template} if CLOCK in template else {}
    chat = [dict(message) for message in messages]
    try:
        with within():
            return str(tokenizer.apply_chat_template(chat, tokenize=False, **given, **ending))
    except TooLongError:
        raise InputError(f"the chat template of the model did not end within {SECONDS:.0f} s") from None


def _template(tokenizer: Any) -> str:
    found = tokenizer.chat_template
    return found if isinstance(found, str) else str(tokenizer.get_chat_template())


def _clock(day: str) -> str:
    """Define `strftime_now` as a macro; transformers lets no function of ours through to a template."""
    moment = datetime.combine(date.fromisoformat(day), time())
    directives = [f"%{flag}{letter}" for flag in ("-", "") for letter in ascii_letters]
    values = [[each, moment.strftime(each)] for each in directives]
    pairs = [["%%", _PERCENT], *(pair for pair in values if pair[0] != pair[1]), [_PERCENT, "%"]]
    return _MACRO % (CLOCK, json.dumps(pairs))
