"""Two runs read side by side: models, organisms, before and after training. It needs neither a model nor torch.

Takes two runs, returns a Comparison: the table, what the two runs differ in, and a sentence per contrast.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from introspect.errors import InputError
from introspect.experiment.run import Run
from introspect.results.store import queries
from introspect.results.tables.inference import infer
from introspect.results.tables.trials.narrow_trials import narrow_trials
from introspect.results.tables.trials.trials import stored_graders
from introspect.results.tables.two_runs import PAIRED, Side, compared
from introspect.selection import one_of

DECIDING = ("model", "weights_hash", "dtype", "temperature", "top_p", "max_new_tokens", "decided_by", "n_loops")
"""Columns of the trials in which two runs may differ and are still compared; where they do, it is said."""


@dataclass(frozen=True)
class Comparison:
    """What two runs say about the same questions; every difference is the second run minus the first."""

    names: tuple[str, str]
    """What the two are called: the last parts of their folders that differ."""
    table: pd.DataFrame
    """Columns as in `results.tables.two_runs.compared`."""
    differ_in: dict[str, tuple[str, str]]
    """Settings in which the two runs differ, with what each has."""

    @property
    def overall(self) -> pd.DataFrame:
        """Return the rows over all cells of each run."""
        place = self.table.columns[3 : self.table.columns.get_loc("measure")]
        return self.table[self.table[list(place)].isna().all(axis=1)]

    @property
    def sentences(self) -> list[str]:
        """Return one sentence per contrast, with its interval and on what it rests."""
        rows = self.overall[self.overall["measure"] == "contrast"]
        return [_sentence(row, self.names) for _, row in rows.iterrows()]

    def __repr__(self) -> str:
        """Return the names and the number of rows."""
        return f"Comparison({self.names[1]} minus {self.names[0]}: {len(self.table)} rows)"

    def _repr_html_(self) -> str:
        """Return the rows over all cells for a notebook, with every text escaped."""
        shown = self.overall.dropna(axis=1, how="all").to_html(index=False, na_rep="", float_format="{:.3f}".format)
        return f"<p>{escape(self.names[1])} minus {escape(self.names[0])}</p>{shown}"


def compare(run_a: Run | str | Path, run_b: Run | str | Path, *, grader: str = "rules") -> Comparison:
    """Return rates and contrasts of two runs side by side, `run_b` minus `run_a`, with 95% intervals.

    Differences are paired over the concepts that both runs share, where these are enough, and unpaired otherwise.
    Raises InputError where the two cannot be compared: the same folder, no graded trials, another version of the
    grader, no question in common, other words under one name of a template, or strengths of another unit.
    """
    opened = [run if isinstance(run, Run) else Run.open(run) for run in (run_a, run_b)]
    try:
        first, second = opened
        _refuse_same(first, second)
        trials = [_trials(run, grader) for run in opened]
        _refuse_other_grader(first, second, grader)
        _refuse_other_questions(first, second, trials)
        table = compared(*(Side(each, _capability(each, grader)) for each in trials), grader=grader)
        if table.empty:
            raise InputError(f"{first.folder} and {second.folder}: have no arm in common on their shared questions")
        return Comparison(_names(first, second), table, _differing(trials))
    finally:
        for run, given in zip(opened, (run_a, run_b), strict=False):
            if run is not given:
                run.close()


def _trials(run: Run, grader: str) -> pd.DataFrame:
    """Return the trials of a run that this grader has graded."""
    trials = narrow_trials(run.store)
    if trials.empty:
        raise InputError(f"{run.folder}: holds no trials yet; run the sweep first")
    one_of(grader, stored_graders(run.store), kind=f"grader of {run.folder}")
    return trials


def _refuse_same(first: Run, second: Run) -> None:
    if first.folder.resolve() == second.folder.resolve():
        raise InputError(f"{second.folder}: is the same run twice; name two runs")


def _refuse_other_grader(first: Run, second: Run, grader: str) -> None:
    found = [sorted(version for (version,) in run.store.select(queries.VERSIONS, grader)) for run in (first, second)]
    if found[0] != found[1]:
        said = " and ".join(
            f"{', '.join(each)} in {run.folder}" for each, run in zip(found, (first, second), strict=True)
        )
        raise InputError(f"grader {grader}: has version {said}; grade both with one: introspect grade RUN")


def _refuse_other_questions(first: Run, second: Run, trials: list[pd.DataFrame]) -> None:
    """Refuse runs that ask nothing in common, or something else under one name."""
    asked = [
        dict(zip(zip(each["question"], each["template"], strict=True), each["template_hash"], strict=True))
        for each in trials
    ]
    shared = [key for key in asked[0] if key in asked[1]]
    where = f"{first.folder} and {second.folder}"
    if not shared:
        said = " and ".join(", ".join(sorted({question for question, _ in each})) for each in asked)
        raise InputError(f"{where}: have no question in common ({said}); compare runs of one protocol")
    for question, template in shared:
        if asked[0][question, template] != asked[1][question, template]:
            raise InputError(f"{where}: template {template!r} has other words in each; sweep both with the same one")
    units = [sorted(each["strength_unit"].dropna().unique()) for each in trials]
    if units[0] != units[1]:
        said = " and ".join(", ".join(each) or "none" for each in units)
        raise InputError(f"{where}: strengths are in other units ({said}); sweep both with the same --strength-unit")


def _capability(trials: pd.DataFrame, grader: str) -> pd.DataFrame:
    return infer(trials, [grader]).made.get("capability", pd.DataFrame())


def _names(first: Run, second: Run) -> tuple[str, str]:
    """Return the shortest ends of the two folders that differ."""
    parts = [run.folder.resolve().parts for run in (first, second)]
    for count in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(each[-count:]) for each in parts]
        if ends[0] != ends[1]:
            return ends[0], ends[1]
    raise AssertionError(f"{first.folder} is {second.folder}")


def _differing(trials: list[pd.DataFrame]) -> dict[str, tuple[str, str]]:
    has = {name: tuple(_listed(each[name]) for each in trials) for name in DECIDING}
    return {name: (said[0], said[1]) for name, said in has.items() if said[0] != said[1]}


def _listed(column: pd.Series) -> str:
    return ", ".join(sorted({str(value) for value in column.dropna()})) or "none"


def _sentence(row: Mapping[str, Any] | pd.Series, names: tuple[str, str]) -> str:  # Any: a row of the table
    values = ", ".join(f"{row[side]:+.2f} in {name}" for side, name in zip(("a", "b"), names, strict=True))
    if row["low"] != row["low"]:
        return f"Contrast ({row['template']}): {values}; no interval for the difference."
    outside = row["low"] > 0 or row["high"] < 0
    verdict = f"{'larger' if row['difference'] > 0 else 'smaller'} in {names[1]}" if outside else "no difference shown"
    on = (
        f"over {row['b_concepts']} shared concepts"
        if row["pairing"] == PAIRED
        else (f"{row['a_concepts']} against {row['b_concepts']} concepts")
    )
    interval = f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] logits"
    return f"Contrast ({row['template']}): {values}; difference {interval}, {row['pairing']}, {on}: {verdict}."
