"""Human labels as they come back: goes in a CSV made from the sheet, come out verdicts beside the trials of the run.

Commas, semicolons and tabs are read, since spreadsheets differ in what they save. Nothing is guessed: a row that cannot
be used is refused with its line.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from introspect.errors import InputError
from introspect.protocols import WRITTEN, kind_of
from introspect.results.tables.trials.label_sheet import LABELS, TRIAL_PREFIX, from_text, offered, to_fill_in

HUMAN = "human"
"""The grader's name under which labels stand beside others."""
_VERDICTS = (*LABELS[:-1], "correct")
_YES_NO = {"yes": True, "no": False, "": None}


@dataclass(frozen=True)
class _Row:
    where: str
    """File and line, for the user."""
    trial: str
    said: dict[str, str]
    """What stands in the label columns, in small letters without spaces around."""


def with_labels(trials: pd.DataFrame, path: Path, folder: Path) -> pd.DataFrame:
    """Add `labelled` (whether the file has the trial) and human_detected, ..., human_correct and human_answer.

    `trials` are the run's answered trials. Raises InputError for a file that is not one of labels for this run.
    """
    rows = list(_rows(path))
    columns = (trials[name] for name in ("trial", "question", "options", "expected"))
    about = {trial: asked for trial, *asked in zip(*columns, strict=True)}
    _check_trials(rows, set(about), path, folder)
    labels = pd.DataFrame([_labels(row, *about[row.trial]) for row in rows], index=[row.trial for row in rows])
    if not any(any(row.said.values()) for row in rows):
        raise InputError(f"{path}: holds no label; fill in yes or no in {', '.join(LABELS)}")
    labels = labels.reindex(trials["trial"]).set_index(trials.index)
    labels = labels.astype({**dict.fromkeys(_VERDICTS, "boolean"), "answer": "str"}).add_prefix(f"{HUMAN}_")
    return trials.join(labels).assign(labelled=trials["trial"].isin([row.trial for row in rows]))


def _rows(path: Path) -> Iterator[_Row]:
    """Read the file; an empty row is no row."""
    text = _text(path)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(lines, [])
        _check_header(header, path)
        begins = lines.line_num + 1
        for number, fields in enumerate(lines, 2):
            where = f"{path}, line {begins}" + (f" (row {number} of a spreadsheet)" if number < begins else "")
            begins = lines.line_num + 1
            if any(field.strip() for field in fields):
                yield _row(where, header, fields)
    except csv.Error as error:
        raise InputError(f"{path}, line {lines.line_num}: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text in UTF-8; save it as CSV UTF-8") from None


def _check_header(header: list[str], path: Path) -> None:
    for name in ("trial", *LABELS):
        if header.count(name) != 1:
            many = "twice" if name in header else "missing"
            raise InputError(f"{path}: column {name!r} is {many}; a sheet has trial, {', '.join(LABELS)}")


def _row(where: str, header: list[str], fields: list[str]) -> _Row:
    if len(fields) != len(header):
        raise InputError(f"{where}: has {len(fields)} fields, the header has {len(header)}")
    by_name = dict(zip(header, fields, strict=True))
    said = {name: from_text(by_name[name].strip()).casefold() for name in LABELS}
    return _Row(where, by_name["trial"].strip().removeprefix(TRIAL_PREFIX), said)


def _check_trials(rows: list[_Row], known: set[str], path: Path, folder: Path) -> None:
    if rows and not known & {row.trial for row in rows}:
        raise InputError(f"{path}: none of its trials has an answer in {folder}; these are labels of another run")
    seen: dict[str, str] = {}
    for row in rows:
        if row.trial not in known:
            raise InputError(f"{row.where}: no trial {row.trial!r} with an answer in {folder}")
        if row.trial in seen:
            raise InputError(f"{row.where}: trial {row.trial} is there already, in{seen[row.trial]}")
        seen[row.trial] = row.where.removeprefix(f"{path},")


def _labels(row: _Row, question: str, options: object, expected: object) -> dict[str, object]:
    """Read the labels of one trial. Raises InputError for a value that is none."""
    for name in LABELS:
        if row.said[name] and name not in to_fill_in(question):
            asked = ", ".join(to_fill_in(question))
            raise InputError(f"{row.where}: {name} is {row.said[name]!r}, but question {question!r} asks for {asked}")
    verdicts = {name: _yes_no(row, name) for name in LABELS[:-1]}
    choices = tuple(json.loads(options)) if isinstance(options, str) else ()
    answer = _answer(row, offered(question, choices))
    if kind_of(question) in WRITTEN:
        return {**verdicts, "correct": _YES_NO[answer or ""], "answer": None}
    known = answer is not None and isinstance(expected, str)
    return {**verdicts, "correct": answer == expected if known else None, "answer": answer}


def _yes_no(row: _Row, name: str) -> bool | None:
    if row.said[name] not in _YES_NO:
        raise InputError(f"{row.where}: {name} is {row.said[name]!r}; write yes, no or nothing")
    return _YES_NO[row.said[name]]


def _answer(row: _Row, choices: tuple[str, ...]) -> str | None:
    said = row.said["answer"]
    found = [choice for choice in choices if choice.casefold() == said]
    if said and not found:
        raise InputError(f"{row.where}: answer is {said!r}; write {', '.join(choices)} or nothing")
    return found[0] if said else None
