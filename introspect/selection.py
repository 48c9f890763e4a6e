"""The grammar behind --loops, --layers and --strengths: "all", "0,2", "3-6", "0.5" (a relative depth)."""

import math
import sys
from collections.abc import Sequence
from typing import TypeVar

from introspect.errors import InputError, unknown

Name = TypeVar("Name", bound=str)

DIGITS = 9
"""Most digits of a whole number: no loop, layer or count needs more, and Python refuses to read thousands of them."""
_SHOWN = 60
"""Characters of a value that a message shows."""
MOST = 10_000
"""Most numbers that one list may name; a longer range is a slip of the keyboard, and would never end."""


def select(text: str, count: int, *, option: str) -> list[int]:
    """Read which of `count` loops or layers are meant, sorted, each once.

    Parts are separated by commas: `all`; a number counted from 0; a range `3-6` with both ends; a fraction with a
    point between 0 and 1, which is a depth (0.0 the first, 1.0 the last). Raises InputError naming `option`.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        chosen.update(_part(part.strip(), count, option))
    return sorted(chosen)


def check_selection(text: str, *, option: str) -> None:
    """Raise InputError naming `option` for what `select` cannot read, however many loops or layers there are."""
    for part in text.split(","):
        _part(part.strip(), sys.maxsize, option)


def names(text: str, known: Sequence[str], *, option: str, kind: str) -> list[str]:
    """Read names separated by commas, in the order given, each once. Raises InputError for one that is not known."""
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    if not chosen:
        raise InputError(f"{option}: the list is empty; known: {', '.join(known)}")
    for name in chosen:
        if name not in known:
            raise unknown(kind, name, known)
    return list(dict.fromkeys(chosen))


def one_of(name: str, known: Sequence[Name], *, kind: str) -> Name:
    """Return the known name that is written there. Raises InputError for any other."""
    for each in known:
        if each == name:
            return each
    raise unknown(kind, name, known)


def numbers(text: str, *, option: str) -> list[float]:
    """Read finite numbers separated by commas, in the order given, each once. Raises InputError naming `option`."""
    values: list[float] = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            raise InputError(f"{option}: {shown(part)} is not a number; numbers look like 0.5,1,2") from None
        if not math.isfinite(value):
            raise InputError(f"{option}: {shown(part)} is not a finite number")
        if value not in values:
            values.append(value)
    return values


def counts(text: str, *, option: str) -> list[int]:
    """Read whole numbers from 1 on, `4`, `1,2` or `1-8`, in the order given, each once. Raises InputError."""
    values: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"{option}: cannot read {shown(part)}; write 4, 1,2 or 1-8")
        low, high = whole(first, option=option), whole(last if dash else first, option=option)
        if not 1 <= low <= high:
            raise InputError(f"{option}: {shown(part)} must be at least 1, the smaller number first")
        if len(values) + high - low >= MOST:
            raise InputError(f"{option}: {shown(part)} names too many numbers; a list has at most {MOST}")
        values += range(low, high + 1)
    return list(dict.fromkeys(values))


def whole(text: str, *, option: str) -> int:
    """Read a whole number of at most DIGITS digits. Raises InputError naming `option` for anything else."""
    digits = text.strip()
    if not digits.isdecimal():
        raise InputError(f"{option}: cannot read {shown(text)}; write a whole number")
    if len(digits.lstrip("0")) > DIGITS:
        raise InputError(f"{option}: {shown(text)} is out of range; a number here has at most {DIGITS} digits")
    return int(digits)


def shown(text: str) -> str:
    """Quote what a user wrote, cut where it is long: a message is one line."""
    text = text.strip()
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(text)} characters)"


def _part(part: str, count: int, option: str) -> range:
    if part == "all":
        return range(count)
    if "." in part:
        return _depth(part, count, option)
    first, dash, last = part.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise InputError(f"{option}: cannot read {shown(part)}; write all, 2, 0,2, 3-6 or a depth such as 0.5")
    low, high = whole(first, option=option), whole(last if dash else first, option=option)
    if low > high:
        raise InputError(f"{option}: {shown(part)} is out of range; write the smaller number first")
    if high >= count:
        there = f"0 to {count - 1}" if count > 1 else "only 0"
        raise InputError(f"{option}: {shown(part)} is out of range; the model has {there}")
    return range(low, high + 1)


def _depth(part: str, count: int, option: str) -> range:
    try:
        depth = float(part)
    except ValueError:
        raise InputError(f"{option}: cannot read {shown(part)}; a depth looks like 0.5") from None
    if not 0 <= depth <= 1:
        raise InputError(f"{option}: depth {part[:_SHOWN]} is out of range; a depth lies between 0.0 and 1.0")
    index = round(depth * (count - 1))
    return range(index, index + 1)
