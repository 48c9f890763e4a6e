"""The manifest of a stored run: read and checked, and compared with that of the command that wants to continue it."""

import json
from pathlib import Path
from typing import Any

from introspect.errors import InputError
from introspect.records.old_names import new_entries

_TEXTS = (
    *("model", "weights_hash", "dtype", "protocol", "extract_loops", "inject", "strength_unit", "contrast", "pairs"),
    *("exit", "tokenizer"),
)
LISTS: dict[str, type | tuple[type, ...]] = {"strengths": (int, float), "totals": int}
LISTS |= dict.fromkeys(("arms", "questions", "sites"), str)
_COUNTS = ("repeats", "seed", "max_new_tokens", "design")
"""Entries of a manifest by the type they must have where they are there."""

NOTED = ("found_at",)
"""Entries that are no part of what decides what a run contains."""

_SHOWN = 60
"""Characters shown of a value, beginning a little before the place where the two differ."""


class _Manifest(dict[str, Any]):  # Any: JSON
    """What made a run. An entry that is asked for and not there is bad input, not an error of the program."""

    def __init__(self, path: Path, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self._path = path

    def __missing__(self, name: str) -> Any:
        """Raise InputError."""
        raise InputError(f"{self._path}: the run's manifest has no {name!r}; restore the file, or run the sweep again")


def read_manifest(text: object, path: Path) -> _Manifest:
    """Read the manifest of a store, under the names of today.

    Raises InputError unless it is a JSON object whose entries have the right types.
    """
    try:
        entries = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"is not JSON ({error})") from None
    if not isinstance(entries, dict):
        raise _wrong(path, f"is {_excerpt(json.dumps(entries), 0)}, not a JSON object")
    entries = new_entries(entries)
    for name, value in entries.items():
        if not _fits(name, value):
            raise _wrong(path, f"has {name} {_excerpt(json.dumps(value), 0)}, which is of the wrong type")
    return _Manifest(path, entries)


def _fits(name: str, value: Any) -> bool:  # Any: JSON
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _COUNTS:
        return isinstance(value, int) and not isinstance(value, bool)
    if name in LISTS:
        return isinstance(value, list) and all(isinstance(item, LISTS[name]) for item in value)
    if name == "n_layers":
        return isinstance(value, dict) and all(isinstance(count, int) for count in value.values())
    if name == "vectors":
        return isinstance(value, dict) and _fits("arms", value.get("words"))
    if name in ("templates", "reference"):
        return isinstance(value, dict) and all(_fits("arms", made) and len(made) == 2 for made in value.values())
    return True


def _wrong(path: Path, what: str) -> InputError:
    return InputError(f"{path}: the run's manifest {what}; restore the file, or run the sweep again")


def refuse_other(stored: dict[str, Any], given: dict[str, object], folder: Path) -> None:
    """Raise InputError naming the first option that differs, unless both manifests say the same.

    Values are compared as JSON gives them back, so a tuple equals the list of the same items. Any: JSON.
    """
    held = ({name: of[name] for name in of if name not in NOTED} for of in (stored, json.loads(json.dumps(given))))
    difference = _first_difference(*held)
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
    start = max(0, next(differ, min(len(before), len(now))) - _SHOWN // 3)
    return _excerpt(before, start), _excerpt(now, start)


def _excerpt(text: str, start: int) -> str:
    if len(text) <= _SHOWN:
        return text
    return f"{'...' if start else ''}{text[start : start + _SHOWN]}{'...' if len(text) > start + _SHOWN else ''}"
