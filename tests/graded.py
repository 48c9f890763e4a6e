"""Makers for tests of graders and labels: a run with known verdicts in every cell, and sheets filled in."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made import injection, new_store, response, trial

from introspect.records.response import Grade
from introspect.records.trial import Trial
from introspect.results.store.store import Store

ASKED = "<<user>>\nHere <<inject>>it is: {{ word }}. Well?"
TEXT = "Yes. It is about dust."
Graded = Callable[[Trial], Grade]


def trials(concepts: int = 12, loops: int = 3, repeats: int = 1, **changes: Any) -> list[Trial]:
    """Make trials of each concept: injected and random ones in every loop, and one without an injection."""
    places = [(arm, loop) for arm in ("injected", "random") for loop in range(loops)] + [("none", None)]
    fields = {"template_hash": "t0", "variables": (("word", "ant"),), **changes}
    return [
        trial(
            concept=f"concept{number}",
            arm=arm,
            injection=None if loop is None else injection((loop, 0)),
            repeat=repeat,
            **fields,
        )
        for number in range(concepts)
        for arm, loop in places
        for repeat in range(repeats)
    ]


def run(folder: Path, made: list[Trial], *graded: Graded, text: str | Callable[[Trial], str] = TEXT) -> Path:
    """Make a run in which these trials are answered and graded."""
    said = text if callable(text) else lambda _: text
    with new_store(folder, {"templates": {"t0": ["asked", ASKED]}}) as store:
        store.add([(one, response(one, said(one))) for one in made], [grader(one) for grader in graded for one in made])
    return folder


def grader(name: str, verdict: Callable[[Trial], bool | None], **more: Any) -> Graded:
    """Make a grader that says the same of detected and identified."""
    return lambda one: Grade(one.id, name, "1", verdict(one), verdict(one), True, False, "'Yes'", **more)


def by_arm(one: Trial) -> bool:
    """Call what is injected detected."""
    return one.arm == "injected"


def rows(sheet: Path) -> list[dict[str, str]]:
    """Read a sheet as it stands."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill_in(sheet: Path, filled: Path, run_: Path, labels: Callable[[Trial], dict[str, str]]) -> Path:
    """Fill a sheet in by the trials themselves."""
    with Store.open(run_) as store:
        known = {one.id: one for one in store.trials()}
    write(filled, [{**row, **labels(known[row["trial"].removeprefix("trial-")])} for row in rows(sheet)])
    return filled


def write(path: Path, made: list[dict[str, str]], **form: Any) -> Path:
    """Write rows as a CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(made[0]), **form)
        writer.writeheader()
        writer.writerows(made)
    return path
