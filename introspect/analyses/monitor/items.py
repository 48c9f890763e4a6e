"""The items of a task: of ours, in a CSV file of the user's, or in a data set of Hugging Face.

Goes in: what the task is called. Come out: items that can be split, or one line that says why they cannot.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from introspect.analyses.monitor.tasks import Item, generated
from introspect.analyses.subject import spread
from introspect.concepts.rows import SUFFIX, read_table
from introspect.errors import InputError
from introspect.selection import one_of

_COLUMNS = ("question", "answer", "correct")
HUB = "hf:"
"""Begins the name of a data set of Hugging Face: hf:NAME, or hf:NAME:SPLIT."""
SPLIT = "train"
CORRECT = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_FEWEST = 10
"""Questions, and items of each class, below which nothing can be split."""
_FEWEST_GROUPS = 5
"""Groups of questions that are never parted, of which every fold needs one."""
_PARTS = ("held-out", "all")
"""Questions on which no organism was trained, or all."""


def items_of(task: str, *, part: str = "all", seed: int = 0) -> list[Item]:
    """Return the items of a task, of its held-out questions or all. Raises InputError for what cannot be used."""
    one_of(part, _PARTS, kind="part of the questions")
    found = _found(task, seed)
    chosen = [item for item in found if part == "all" or item.held_out]
    _check(task, chosen)
    return chosen


def sampled(items: Sequence[Item], most: int | None) -> list[Item]:
    """Return the items of at most so many questions, spread evenly; all where a part of them could not be split."""
    chosen = set(spread(list(dict.fromkeys(item.question for item in items)), most))
    found = [item for item in items if item.question in chosen]
    return list(items) if too_few(found) else found


def too_few(items: Sequence[Item]) -> str | None:
    """Say what there is too little of to be split, if anything."""
    right = sum(item.correct for item in items)
    counted = {
        "questions": (len({item.question for item in items}), _FEWEST),
        "groups of questions": (len({item.group for item in items}), _FEWEST_GROUPS),
        "items that are correct": (right, _FEWEST),
        "items that are not": (len(items) - right, _FEWEST),
    }
    lacking = ((n, what, least) for what, (n, least) in counted.items() if n < least)
    return next((f"{n} {what}; monitors need at least {least}" for n, what, least in lacking), None)


def _check(task: str, items: Sequence[Item]) -> None:
    """Raise InputError for items of which too few are there to be split, or which are all of one class."""
    if few := too_few(items):
        raise InputError(f"task {task!r}: {few}, to be split")


def _found(task: str, seed: int) -> list[Item]:
    if task.startswith(HUB):
        return _hub(task)
    if task.endswith(SUFFIX) or "/" in task or "\\" in task:
        table = read_table(task, _COLUMNS, kind="task", shipped=())
        return _read(table.path, ((row.line, row.fields) for row in table.rows))
    return generated(task, seed)


def _hub(task: str) -> list[Item]:
    """Load a data set of Hugging Face; InputError when the library is missing or the set cannot be had."""
    if find_spec("datasets") is None:
        raise InputError(f'task {task!r}: the library datasets is not installed; pip install "introspect-loops[data]"')
    name, _, split = task.removeprefix(HUB).partition(":")
    try:
        found = import_module("datasets").load_dataset(name, split=split or SPLIT)
    except Exception as error:  # whatever the library raises for a name, a network or a format
        said = " ".join(str(error).split())
        raise InputError(f"task {task!r}: cannot be loaded: {type(error).__name__}: {said}") from None
    missing = [column for column in _COLUMNS if column not in found.column_names]
    if missing:
        raise InputError(f"task {task!r}: no column {missing[0]!r} in {','.join(found.column_names)}")
    return _read(task, enumerate(found, 1))


def _read(where: str, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Item]:  # Any: a cell of a data set
    items = []
    for line, row in rows:
        correct = CORRECT.get(str(row["correct"]).strip().casefold())
        if correct is None:
            raise InputError(f"{where}, line {line}: correct is {row['correct']!r}; it must be yes or no")
        for column in ("question", "answer"):
            if row[column] is None or row[column] != row[column] or not str(row[column]).strip():
                raise InputError(f"{where}, line {line}: {column} is missing; every row needs one")
        question, answer = str(row["question"]), str(row["answer"])
        items.append(Item(question, answer, correct, str(row.get("group") or question)))
    return items
