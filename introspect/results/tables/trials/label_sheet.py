"""The sheet for human labels: goes in a run, comes out a CSV to be filled in, blind to arm, site and strength.

Rows are drawn evenly over the cells (arm, question, site, strength, ...) and shuffled. The sheet opens as text in a
spreadsheet: what would begin a formula is put behind an apostrophe, and a trial's id behind a word, since sixteen
hex digits may read like a number.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from introspect.errors import InputError
from introspect.grading.thinking import answer_of
from introspect.prompts import Template, render
from introspect.protocols import WRITTEN, kind_of, silent_protocols
from introspect.records.trial import Trial
from introspect.results.statistics.strata import even_sample
from introspect.results.store.store import Store
from introspect.results.tables.trials.narrow_trials import narrow_trials

LABELS = ("detected", "identified", "coherent", "refused", "answer")
"""Columns to be filled in."""
_COLUMNS = ("trial", "concept", "prompt", "text", "to_fill_in", "options", *LABELS)
TRIAL_PREFIX = "trial-"
APOSTROPHE = "'"
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", APOSTROPHE)  # noqa: RUF001
"""What a spreadsheet may take for the beginning of a formula (OWASP, CSV injection), and the apostrophe itself."""
SEPARATOR = " | "
"""Stands between options."""


def write_sheet(store: Store, path: Path, *, n: int = 100, seed: int = 0) -> int:
    """Write a sheet of `n` answers, or of all there are, and count them. Raises InputError if the file is there.

    The file begins with a byte-order mark, without which spreadsheets do not take it for UTF-8.
    """
    if n < 1:
        raise InputError(f"n {n}: must be at least 1")
    trials = answered_trials(store)
    if trials.empty:
        raise InputError(f"{store.folder}: holds no answer that could be labelled")
    chosen = even_sample(trials, n, seed=seed)
    templates = {name: Template(*made) for name, made in store.manifest["templates"].items()}
    rows = [_row(store, trial, templates) for trial in chosen["trial"]]
    try:
        with path.open("x", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([_COLUMNS, *rows])
    except FileExistsError:
        raise InputError(f"{path}: exists already, perhaps with labels; choose another --out") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from None
    return len(rows)


def answered_trials(store: Store) -> pd.DataFrame:
    """Return the narrow rows of the trials whose answers can be labelled, with their ids as `trial`, by id."""
    trials = narrow_trials(store).assign(trial=list(_ids(store)))
    return trials[(trials["state"] == "done") & ~trials["protocol"].isin(silent_protocols())].reset_index(drop=True)


def to_fill_in(question: str) -> tuple[str, ...]:
    """Name the labels that make sense for a question."""
    asked = ("detected", "identified") if kind_of(question) == "noticing" else ("answer",)
    return (*asked, "coherent", "refused")


def offered(question: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the label `answer` may be. Whether a line is repeated, or a word named, is a yes or a no."""
    return options if options and kind_of(question) not in WRITTEN else ("yes", "no")


def as_text(text: str) -> str:
    """Put an apostrophe before what a spreadsheet might take for a formula."""
    return APOSTROPHE + text if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def from_text(field: str) -> str:
    """Take the apostrophe away again."""
    return field.removeprefix(APOSTROPHE)


def _ids(store: Store) -> Iterator[str]:
    """Return the ids of all trials in the order of `narrow_trials`."""
    return (trial for (trial,) in store.select("SELECT id FROM trials ORDER BY id"))


def _row(store: Store, trial_id: str, templates: dict[str, Template]) -> list[str]:
    trial = store.trial(trial_id)
    options = "" if kind_of(trial.question) == "noticing" else SEPARATOR.join(offered(trial.question, trial.options))
    shown = (trial.concept, _asked(trial, templates), answer_of(store.response(trial_id)) or "")
    empty = [""] * len(LABELS)
    return [
        TRIAL_PREFIX + trial_id,
        *map(as_text, shown),
        ", ".join(to_fill_in(trial.question)),
        as_text(options),
        *empty,
    ]


def _asked(trial: Trial, templates: dict[str, Template]) -> str:
    """Write what was asked as it reads in every arm: no span, and nothing written into it in place of a thought."""
    prompt = render(templates[trial.template_hash], **dict(trial.variables))
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in prompt.messages)
