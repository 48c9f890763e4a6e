"""The tables of a run, made and written. In goes a store, out come frames and CSV files.

Rates are made from counts of trials that are alike, and trials.csv is written row by row, so that a run may have
millions of trials. A table that a run cannot have, for lack of an arm or a question, is not written, and what it lacks
is said.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from introspect.errors import InputError
from introspect.records.trial import Gate
from introspect.results.store.csv_files import write_rows, write_table
from introspect.results.store.queries import VERDICTS
from introspect.results.store.store import Store
from introspect.results.tables.inference import capabilities, infer
from introspect.results.tables.rates.capability import telling, unable
from introspect.results.tables.rates.control_cosines import control_table
from introspect.results.tables.rates.echoes import echo_table, with_echoes
from introspect.results.tables.rates.exits import exits_table
from introspect.results.tables.rates.over_concepts import routed_table
from introspect.results.tables.rates.rates import graders, loops_table, rates
from introspect.results.tables.rates.readouts import readouts_of, readouts_table
from introspect.results.tables.trials.absence import Made, make_each
from introspect.results.tables.trials.narrow_trials import narrow_trials
from introspect.results.tables.trials.trials import (
    alike_table,
    cells_table,
    stored_graders,
    trial_columns,
    trial_rows,
    trials_table,
)

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


STRENGTHS = "strength_units"
"""Entry in the `attrs` of every table of a run: the units of strengths, which a column names only where they vary."""


def make_tables(store: Store, coherence: Gate = "rules") -> dict[str, pd.DataFrame]:
    """Make the tables of a run by name. With several graders the rates get a column `grader`."""
    made = summaries(store, coherence).made
    unknown_verdict = pd.Series(pd.NA, index=range(store.count("error")), dtype="boolean")
    added = dict.fromkeys(_added_columns(store), unknown_verdict)
    return {"trials": trials_table(store).assign(**added), **made}


def summaries(store: Store, coherence: Gate = "rules") -> Made[pd.DataFrame]:
    """Make all tables but that of the trials, and say what those lack that the run cannot have.

    With coherence `model` the verdicts on answers that are not coherent by the model count as unknown.
    No answer is read: a million trials take about eighty seconds. Raises InputError for a run without trials.
    """
    cells, names = cells_table(store), stored_graders(store)
    if cells.empty:
        raise InputError(f"{store.folder}: holds no trials yet; run the sweep first")
    inferred, echoes = infer(narrow_trials(store, coherence), names), echo_table(store, cells)
    capability = with_echoes(inferred.made.get("capability", pd.DataFrame()), echoes)
    counted = _counted(store, cells, capability, coherence)
    found = {
        "readouts": readouts_of(store, cells),
        **inferred.made,
        "capability": capability,
        **{"control": control_table(store), "exits": exits_table(store, cells), "routed": routed_table(store, cells)},
        "echo": echoes,
    }
    measured = {name: table for name, table in found.items() if not table.empty}
    made = {**counted.made, **measured}
    for table in made.values():
        table.attrs[STRENGTHS] = tuple(cells["strength_unit"].dropna().unique())
    return Made(made, {**counted.absent, **inferred.absent})


def brief(store: Store, coherence: Gate = "rules") -> Made[pd.DataFrame]:
    """Make rates and read-outs alone, as `summaries` does, for a look at a run that is under way.

    Only counts of trials that are alike are read, and of the read-outs two columns. Raises InputError for a run
    without trials.
    """
    cells, names = cells_table(store), stored_graders(store)
    if cells.empty:
        raise InputError(f"{store.folder}: holds no trials yet; they are stored block by block")
    read = cells[telling(cells)].index
    gate = make_each({"capability": lambda: capabilities(narrow_trials(store, coherence, read), names)})
    capability = gate.made.get("capability", pd.DataFrame())
    counted = _counted(store, cells, capability, coherence)
    return Made({**counted.made, "readouts": readouts_of(store, cells)}, counted.absent)


def write_brief(store: Store, made: Made[pd.DataFrame]) -> list[Path]:
    """Write what `brief` made, and leave the other tables as they are."""
    return [write_table(store.folder, name, table) for name, table in made.made.items() if not table.empty]


def write_tables(store: Store, made: Made[pd.DataFrame] | None = None) -> list[Path]:
    """Write trials.csv and the other tables into the run's folder `tables`; `made` are the others, if already made."""
    made = summaries(store) if made is None else made
    names, added = stored_graders(store), _added_columns(store)
    rows = (row + (None,) * len(added) for row in trial_rows(store, names)) if added else trial_rows(store, names)
    trials = write_rows(store.folder, "trials", [*trial_columns(names), *added], rows)
    for name in made.absent:  # an earlier state of the run may have had it
        (store.folder / "tables" / f"{name}.csv").unlink(missing_ok=True)
    return [trials, *(write_table(store.folder, name, table) for name, table in made.made.items())]


_RATES = {"rates": rates, "loops": loops_table}
"""What is made of counts of trials that are alike."""


def _counted(store: Store, cells: pd.DataFrame, capability: pd.DataFrame, coherence: Gate) -> Made[pd.DataFrame]:
    """Count the trials that are alike, and make the tables of their rates by every grader.

    A run in which all trials failed has the errors of the rules.
    """
    names = stored_graders(store)
    if not names and store.count():
        why = f"no answer is graded yet: introspect grade {store.folder}"
        return Made({}, dict.fromkeys(_RATES, why))
    graded = {grader: alike_table(store, cells, grader, coherence) for grader in names or ["rules"]}
    alike = {grader: _gated(table, capability, grader) for grader, table in graded.items()}
    return make_each({name: partial(_rates, alike, coherence, make) for name, make in _RATES.items()})


def _rates(alike: dict[str, pd.DataFrame], coherence: Gate, make: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Make a table of rates by every grader; a column `coherence` tells rates that the model has gated."""
    parts = []
    for grader, counts in alike.items():
        part = make(counts, grader=grader)
        part = part if coherence == "rules" else part.assign(coherence=coherence)
        parts.append(part.assign(grader=grader) if len(alike) > 1 else part)
    return pd.concat(parts, ignore_index=True)


def _gated(alike: pd.DataFrame, capability: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Mark the trials whose kind of answer the model cannot give; plain questions keep their own rates."""
    return alike if capability.empty else alike.assign(cannot_answer=unable(alike, capability, grader))


def _added_columns(store: Store) -> list[str]:
    """Name what a run in which every trial failed has in place of grades: unknown verdicts."""
    return [] if store.count() else [f"rules_{verdict}" for verdict in VERDICTS]
