"""Comparing the manifest of a stored run with the one of the command that wants to continue it."""

import json
from pathlib import Path
from typing import Any

from introspect.errors import InputError

SHOWN = 60
"""Characters shown of a value, beginning a little before the place where the two differ."""


def refuse_other(stored: dict[str, Any], given: dict[str, object], folder: Path) -> None:
    """Raise InputError naming the first option that differs, unless both manifests say the same.

    Values are compared as JSON gives them back, so a tuple equals the list of the same items. Any: JSON.
    """
    difference = _first_difference(stored, json.loads(json.dumps(given)))
    if difference is None:
        return
    option, before, now = difference
    raise InputError(f"{folder}: this run has {option} {before}, not {now}; give that, or choose another --out")


def _first_difference(stored: dict[str, Any], given: dict[str, Any]) -> tuple[str, str, str] | None:
    for option in [*stored, *(name for name in given if name not in stored)]:
        before, now = stored.get(option), given.get(option)
        if isinstance(before, dict) and isinstance(now, dict):
            if (inner := _first_difference(before, now)) is not None:
                return f"{option}.{inner[0]}", *inner[1:]
        elif before != now or (option in stored) != (option in given):
            return option, *_excerpts(json.dumps(before), json.dumps(now))
    return None


def _excerpts(before: str, now: str) -> tuple[str, str]:
    differ = (place for place, (a, b) in enumerate(zip(before, now, strict=False)) if a != b)
    start = max(0, next(differ, min(len(before), len(now))) - SHOWN // 3)
    return _excerpt(before, start), _excerpt(now, start)


def _excerpt(text: str, start: int) -> str:
    if len(text) <= SHOWN:
        return text
    return f"{'...' if start else ''}{text[start : start + SHOWN]}{'...' if len(text) > start + SHOWN else ''}"
