"""How numbers and texts are written in a report. In go values, out comes text; what is missing is said to be missing.

Text of a model may hold anything: characters that cannot be seen, or that move the cursor or turn the line around, are
written as escapes.
"""

import math
from itertools import groupby

import pandas as pd
from markupsafe import Markup, escape

MISSING = "missing"
NO_INTERVAL = "no interval"
_MINUS = "\N{MINUS SIGN}"
TO = "\N{EN DASH}"
LEAST_P = 1e-4
"""Smaller p values are written as below this one."""


def number(value: object, digits: int = 3) -> str:
    """Write a number with so many significant digits."""
    if is_missing(value):
        return MISSING
    assert isinstance(value, int | float), f"{value!r} is no number"
    if math.isinf(value):
        return "infinite" if value > 0 else f"{_MINUS}infinite"
    written = f"{value:,}" if isinstance(value, int) else _plain(value, digits)
    return written.replace("-", _MINUS)


def percent(value: object) -> str:
    """Write a share as a percentage."""
    if is_missing(value):
        return MISSING
    assert isinstance(value, int | float), f"{value!r} is no share"
    return f"{100 * value:.1f}%"


def interval(low: object, high: object, *, share: bool = False) -> str:
    """Write an interval, as "0.12 to 0.34"."""
    if is_missing(low) or is_missing(high):
        return NO_INTERVAL
    write = percent if share else number
    return f"{write(low)} to {write(high)}"


def p_value(value: object) -> str:
    """Write a p value, as "0.031", or "<0.0001"."""
    if is_missing(value):
        return MISSING
    assert isinstance(value, int | float), f"{value!r} is no p value"
    return f"<{LEAST_P:g}" if value < LEAST_P else f"{value:.2g}"


def p_said(value: object) -> str:
    """Write a p value within a sentence: "p = 0.031", or "no p value"."""
    if is_missing(value):
        return "no p value"
    written = p_value(value)
    return f"p < {written[1:]}" if written.startswith("<") else f"p = {written}"


def counted(n: int, what: str) -> str:
    """Write "1 trial", "2 trials"."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def listed(items: list[str]) -> str:
    """Write "a, b and c"; nothing is "none"."""
    if len(items) < 2:
        return "".join(items) or "none"
    return f"{', '.join(items[:-1])} and {items[-1]}"


def escaped(text: str) -> str:
    """Write what cannot be seen as an escape; line feeds and spaces stay."""
    return "".join(c if _seen(c) else _escape(c) for c in text)


def visible(value: object) -> object:
    """Make text HTML in which escapes stand in `<i>`; markup, and what is no text, is given back as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    made = Markup("")
    for seen, run in groupby(value, _seen):
        text = "".join(run)
        made += escape(text) if seen else Markup("<i>{}</i>").format("".join(map(_escape, text)))
    return made


def is_missing(value: object) -> bool:
    """Tell whether a value is None, NaN or NA."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _seen(character: str) -> bool:
    return character.isprintable() or character == "\n"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _plain(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 10**digits:
        return f"{value:#.{digits}g}".rstrip(".")
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.{digits - 1}e}"
