"""The tables of a run, made and written. In goes a store, out come frames and CSV files.

Rates are made from counts of trials that are alike, and trials.csv is written row by row, so that a run may have
millions of trials. A table that a run cannot have, for lack of an arm or a question, is not written.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from introspect.errors import InputError, unknown
from introspect.grading.picking import PLAIN
from introspect.results.cosines import control_table
from introspect.results.exits import exits_table
from introspect.results.files import write_rows, write_table
from introspect.results.inference import infer
from introspect.results.measured import routed_table
from introspect.results.narrow import narrow_trials
from introspect.results.queries import VERDICTS
from introspect.results.rates import graders, loops_table, rates
from introspect.results.readouts import readouts_of, readouts_table
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.store import Store
from introspect.results.trials import alike_table, cells_table, stored_graders, trial_columns, trial_rows, trials_table

__all__ = [
    "graders",
    "loops_table",
    "make_tables",
    "rates",
    "readouts_table",
    "summaries",
    "trials_table",
    "write_tables",
]


def make_tables(store: Store) -> dict[str, pd.DataFrame]:
    """Make the tables of a run by name. With several graders the rates get a column `grader`."""
    made = summaries(store)
    unknown_verdict = pd.Series(pd.NA, index=range(store.count("error")), dtype="boolean")
    added = dict.fromkeys(_added_columns(store), unknown_verdict)
    return {"trials": trials_table(store).assign(**added), **made}


def summaries(store: Store) -> dict[str, pd.DataFrame]:
    """Make all tables but that of the trials; no answer is read, so a million trials take a minute."""
    cells, names = cells_table(store), stored_graders(store)
    if cells.empty:
        raise InputError(f"{store.folder}: holds no trials yet; run the sweep first")
    if not names and store.count():
        raise unknown("grader of this run", "rules", ["none, it has not been graded"])
    inferred = infer(narrow_trials(store), names)
    capability = inferred.get("capability", pd.DataFrame())
    tables: dict[str, list[pd.DataFrame]] = {"rates": [], "loops": []}
    for grader in names or ["rules"]:
        alike = _gated(alike_table(store, cells, grader), capability, grader)
        for name, make in {"rates": rates, "loops": loops_table}.items():
            part = make(alike, grader=grader)
            tables[name].append(part.assign(grader=grader) if len(names) > 1 else part)
    pooled = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    found = {"control": control_table(store), "exits": exits_table(store, cells), "routed": routed_table(store, cells)}
    measured = {name: table for name, table in found.items() if not table.empty}
    return {**pooled, "readouts": readouts_of(store, cells), **inferred, **measured}


def write_tables(store: Store, made: Mapping[str, pd.DataFrame] | None = None) -> list[Path]:
    """Write trials.csv and the other tables into the run's folder `tables`; `made` are the others, if already made."""
    made, names, added = summaries(store) if made is None else made, stored_graders(store), _added_columns(store)
    rows = (row + (None,) * len(added) for row in trial_rows(store, names)) if added else trial_rows(store, names)
    trials = write_rows(store.folder, "trials", [*trial_columns(names), *added], rows)
    return [trials, *(write_table(store.folder, name, table) for name, table in made.items())]


def _gated(alike: pd.DataFrame, capability: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Mark the trials of settings in which the model cannot answer plain questions; these keep their own rates."""
    if capability.empty:
        return alike
    failing = capability[(capability["grader"] == grader) & (capability["verdict"] == CANNOT_ANSWER)]
    unable = alike["n_loops"].isin(failing["n_loops"]) & (alike["question"] != PLAIN)
    return alike.assign(cannot_answer=unable)


def _added_columns(store: Store) -> list[str]:
    """Name what a run in which every trial failed has in place of grades: unknown verdicts."""
    return [] if store.count() else [f"rules_{verdict}" for verdict in VERDICTS]
