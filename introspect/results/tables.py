"""Tidy tables of a run: trials, rates per cell, rates per loop, read-outs. In goes a store, out come frames.

A rate always comes with its n and a 95% interval. Nothing that varies in a run is pooled silently: what differs inside
a cell becomes a column of its own. Rates are made from counts of trials that are alike, and trials.csv is written row
by row, so that a run may have millions of trials.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from introspect.errors import InputError, unknown
from introspect.grading.picking import DETECTION, YES_OR_NO
from introspect.results.files import write_rows, write_table
from introspect.results.queries import MEASURES, VERDICTS
from introspect.results.readouts import unit_means
from introspect.results.statistics import mean_interval, rates_over_concepts, unknown_bounds, wilson
from introspect.results.store import Store
from introspect.results.trials import (
    alike_table,
    cells_table,
    in_order,
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

RATE = ("k", "n", "rate", "low", "high", "concepts_low", "concepts_high", "unknown", "if_no", "if_yes", "errors")
"""What is said of a rate."""
CELL = ("arm", "loop", "layer", "strength")
LOOP_CELL = ("arm", "loop", "strength")

FACTORS = (
    *("model", "weights_hash", "dtype", "protocol", "question", "template", "template_hash", "extract_loop"),
    *("strength_unit", "vectors_hash", "n_loops", "temperature", "top_p", "max_new_tokens", "decided_by"),
)
"""Columns that become columns of the rates where they vary within a cell; concept, seed and repeat are pooled."""


def graders(table: pd.DataFrame) -> list[str]:
    """List the graders that have columns in a table of trials."""
    return [column.removesuffix("_detected") for column in table.columns if column.endswith("_detected")]


def rates(table: pd.DataFrame, *, by: Sequence[str] = CELL, grader: str = "rules") -> pd.DataFrame:
    """Give, per cell and measure, k of n, the rate and its Wilson 95% interval, from a table of trials.

    A question about noticing has all measures but `correct`, any other only `correct` and `coherent`. Only verdicts
    that are yes or no count in n; `unknown` counts the answers without one, `errors` the trials that
    failed. Where n is 0 the rate is NaN. `low` and `high` take trials as independent, which those of one concept are
    not quite: `concepts_low` and `concepts_high` are a bootstrap over concepts, NaN where there are too few, or where
    all of them agree. `if_no` and `if_yes` are the rate if every unknown verdict were no, or yes.
    Columns: those of `by`, the factors that vary within a cell, measure, and those of RATE. A table with a column
    `alike` has that many trials in a row.
    """
    if grader not in graders(table):
        raise unknown("grader of this run", grader, graders(table) or ["none, it has not been graded"])
    table = _with_loops(table if "alike" in table else table.assign(alike=1))
    keys = [*by, *_varying(table, by)]
    verdicts = table.rename(columns={f"{grader}_{verdict}": verdict for verdict in VERDICTS})
    verdicts["both"] = verdicts["detected"] & verdicts["identified"]
    asked = [(measure, verdicts[_asked(verdicts["question"], measure)]) for measure in MEASURES]
    parts = [_counted(part, keys, measure) for measure, part in asked if not part.empty]
    counts = pd.concat(parts, ignore_index=True)
    counts["rate"] = (counts["k"] / counts["n"].where(counts["n"] > 0)).astype("float64")
    counts["low"], counts["high"] = wilson(counts["k"], counts["n"])
    counts["if_no"], counts["if_yes"] = unknown_bounds(counts["k"], counts["n"], counts["unknown"])
    return in_order(counts, [*keys, "measure"])[[*keys, "measure", *RATE]]


def loops_table(table: pd.DataFrame, *, grader: str = "rules") -> pd.DataFrame:
    """Give the rates per arm, loop and strength, pooled over layers; `loops` tells sites in several loops apart."""
    return rates(table, by=LOOP_CELL, grader=grader)


def readouts_table(store: Store) -> pd.DataFrame:
    """Give the mean of logit(yes) - logit(no) per arm, injection loop, strength and read-out loop, with a 95% interval.

    A read-out precedes the first draw, so repeats repeat it. They are averaged first, then the sites of a concept; n
    counts the concepts, and the t interval is over them.
    """
    return _readouts(store, cells_table(store))


def make_tables(store: Store) -> dict[str, pd.DataFrame]:
    """Make the four tables of a run by name. With several graders the rates get a column `grader`."""
    made = summaries(store)
    unknown_verdict = pd.Series(pd.NA, index=range(store.count("error")), dtype="boolean")
    added = dict.fromkeys(_added_columns(store), unknown_verdict)
    return {"trials": trials_table(store).assign(**added), **made}


def summaries(store: Store) -> dict[str, pd.DataFrame]:
    """Make rates, loops and readouts; no answer is read, so a million trials take seconds."""
    cells, names = cells_table(store), stored_graders(store)
    if cells.empty:
        raise InputError(f"{store.folder}: holds no trials yet; run the sweep first")
    if not names and store.count():
        raise unknown("grader of this run", "rules", ["none, it has not been graded"])
    tables: dict[str, list[pd.DataFrame]] = {"rates": [], "loops": []}
    for grader in names or ["rules"]:
        alike = alike_table(store, cells, grader)
        for name, make in {"rates": rates, "loops": loops_table}.items():
            part = make(alike, grader=grader)
            tables[name].append(part.assign(grader=grader) if len(names) > 1 else part)
    pooled = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return {**pooled, "readouts": _readouts(store, cells)}


def write_tables(store: Store) -> list[Path]:
    """Write trials.csv, rates.csv, loops.csv and readouts.csv into the run's folder `tables`."""
    made, names, added = summaries(store), stored_graders(store), _added_columns(store)
    rows = (row + (None,) * len(added) for row in trial_rows(store, names)) if added else trial_rows(store, names)
    trials = write_rows(store.folder, "trials", [*trial_columns(names), *added], rows)
    return [trials, *(write_table(store.folder, name, table) for name, table in made.items())]


def _added_columns(store: Store) -> list[str]:
    """Name what a run in which every trial failed has in place of grades: unknown verdicts."""
    return [] if store.count() else [f"rules_{verdict}" for verdict in VERDICTS]


def _asked(question: pd.Series, measure: str) -> pd.Series:
    """Tell which questions a measure belongs to: whether an answer is correct is asked where noticing is not."""
    if measure == "coherent":
        return pd.Series(True, index=question.index)
    return question.isin(DETECTION) != (measure == "correct")


def _counted(verdicts: pd.DataFrame, keys: list[str], measure: str) -> pd.DataFrame:
    alike, failed = verdicts["alike"], verdicts["state"] == "error"
    verdict = verdicts[measure].mask(failed)
    weighted = {
        "k": alike.where(verdict.fillna(False), 0),
        "n": alike.where(verdict.notna(), 0),
        "errors": alike.where(failed, 0),
        "all": alike,
    }
    by_concept = verdicts.assign(**weighted).groupby([*keys, "concept"], dropna=False)[list(weighted)].sum()
    counts = by_concept.groupby(keys, dropna=False).sum()
    counts["unknown"] = counts.pop("all") - counts["n"] - counts["errors"]
    k, n = (by_concept[name].unstack("concept", fill_value=0).reindex(counts.index) for name in ("k", "n"))
    counts["concepts_low"], counts["concepts_high"] = rates_over_concepts(k.to_numpy(float), n.to_numpy(float))
    return counts.reset_index().astype(dict.fromkeys(("k", "n", "unknown", "errors"), "int64")).assign(measure=measure)


def _readouts(store: Store, cells: pd.DataFrame) -> pd.DataFrame:
    table = _with_loops(cells[cells["question"].isin(YES_OR_NO)])
    keys = [*LOOP_CELL, *_varying(table, LOOP_CELL), "readout_loop"]
    by_unit = table.groupby([*keys[:-1], "sites"], dropna=False)
    read = unit_means(store, by_unit.ngroup())
    found = table[[*keys[:-1], "sites"]].assign(unit=by_unit.ngroup()).drop_duplicates("unit")
    read = read.astype({"concept": "str", "readout_loop": "Int64"}).merge(found, on="unit", validate="many_to_one")
    for unit in ([*keys, "concept", "sites"], [*keys, "concept"]):
        read = read.groupby(unit, dropna=False)[["difference"]].mean().reset_index()
    groups = [(*cell, *mean_interval(part), len(part)) for cell, part in read.groupby(keys, dropna=False)["difference"]]
    means = pd.DataFrame(groups, columns=[*keys, "mean", "low", "high", "n"])
    means = means.astype({key: read[key].dtype for key in keys})
    return in_order(means, keys)[[*keys, "mean", "n", "low", "high"]]


def _varying(table: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """Name the factors that differ inside the cells of `by`; one that an earlier one explains is left out.

    Where trials have several sites these are named too, since such cells have no loop or no layer.
    """
    several = table["sites"].str.contains(",").fillna(False).astype(bool).any()
    sites = ("sites",) if "layer" in by else ("loops", "n_sites")
    varying = [sites[0]] if several and "loop" in by else []
    for factor in (*(sites if "loop" in by else ()), *FACTORS):
        cells = table.groupby([*by, *varying], dropna=False)[factor]
        if (cells.nunique(dropna=False) > 1).any():
            varying.append(factor)
    return varying


def _with_loops(table: pd.DataFrame) -> pd.DataFrame:
    """Add the distinct loops of the sites, "0,1", and the number of sites."""
    pairs = {sites: [site.split(":") for site in sites.split(",")] for sites in table["sites"].dropna().unique()}
    loops = {sites: ",".join(dict.fromkeys(loop for loop, _ in found)) for sites, found in pairs.items()}
    counts = {sites: len(found) for sites, found in pairs.items()}
    return table.assign(
        loops=table["sites"].map(loops).astype("str"), n_sites=table["sites"].map(counts).astype("Int64")
    )
