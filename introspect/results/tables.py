"""Tidy tables of a run: trials, rates per cell, rates per loop, read-outs. In goes a store, out come frames.

A rate always comes with its n and a 95% interval. Nothing that varies in a run is pooled silently: what differs inside
a cell becomes a column of its own.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from introspect.errors import InputError, unknown
from introspect.records import ARMS
from introspect.results.files import write_table
from introspect.results.statistics import mean_interval, wilson
from introspect.results.store import Store

CELL = ("arm", "loop", "layer", "strength")
LOOP_CELL = ("arm", "loop", "strength")
VERDICTS = ("detected", "identified", "coherent", "refused")
MEASURES = ("detected", "identified", "both", "coherent", "refused")
"""What rates are given of; `both` is detected and identified."""

FACTORS = (
    *("model", "weights_hash", "dtype", "protocol", "template", "template_hash", "extract_loop"),
    *("strength_unit", "vectors_hash", "n_loops", "temperature", "top_p", "max_new_tokens"),
)
"""Columns that become columns of the rates where they vary within a cell; concept, seed and repeat are pooled."""

TYPES = {
    **dict.fromkeys(("loop", "layer", "extract_loop", "n_loops", "repeat", "max_new_tokens"), "Int64"),
    **dict.fromkeys(("strength", "temperature", "top_p", "vector_norm", "residual_norm"), "float64"),
    **dict.fromkeys(("trial", "model", "weights_hash", "dtype", "protocol", "template", "template_hash"), "str"),
    **dict.fromkeys(("concept", "arm", "sites", "strength_unit", "vectors_hash", "state", "text"), "str"),
    **dict.fromkeys(("finish_reason", "error"), "str"),
}


def trials_table(store: Store) -> pd.DataFrame:
    """Give one row a trial, in an order that does not depend on when it ran; columns are named as the options.

    `state` is `done` or `error` (then `error` is the message and there is no text). `sites` reads "loop:layer,...";
    `loop` and `layer` are missing where the sites have several. A missing `extract_loop` is the loop of each site.
    For every grader there are columns such as `rules_detected`, missing where the verdict is unknown.
    """
    table = store.frame("trials").astype(TYPES)
    table["seed"] = pd.to_numeric(table["seed"])
    table.insert(list(table.columns).index("error"), "relative_norm", table["vector_norm"] / table["residual_norm"])
    grades = store.frame("grades").astype(dict.fromkeys(("trial", "grader", "version", "evidence"), "str"))
    for grader, part in grades.groupby("grader"):
        columns = part.set_index("trial").drop(columns="grader")
        columns = columns.astype(dict.fromkeys(VERDICTS, "Int64")).astype(dict.fromkeys(VERDICTS, "boolean"))
        table = table.join(columns.add_prefix(f"{grader}_"), on="trial")
    order = ["arm", "loop", "layer", "strength", "sites", "extract_loop", "n_loops", "template", "concept", "repeat"]
    return _sorted(table, [*order, "trial"])


def graders(table: pd.DataFrame) -> list[str]:
    """List the graders that have columns in a table of trials."""
    return [column.removesuffix("_detected") for column in table.columns if column.endswith("_detected")]


def rates(table: pd.DataFrame, *, by: Sequence[str] = CELL, grader: str = "rules") -> pd.DataFrame:
    """Give, per cell and measure, k of n, the rate and its Wilson 95% interval, from a table of trials.

    Only verdicts that are yes or no count in n; `unknown` counts the answers without one, `errors` the trials that
    failed. Where n is 0 the rate is NaN. The interval takes trials as independent; those of one concept are not quite.
    Columns: those of `by`, the factors that vary within a cell, measure, k, n, rate, low, high, unknown, errors.
    """
    if grader not in graders(table):
        raise unknown("grader of this run", grader, graders(table) or ["none, it has not been graded"])
    table = _with_loops(table)
    keys = [*by, *_varying(table, by)]
    verdicts = table.rename(columns={f"{grader}_{verdict}": verdict for verdict in VERDICTS})
    verdicts["both"] = verdicts["detected"] & verdicts["identified"]
    counts = pd.concat([_counted(verdicts, keys, measure) for measure in MEASURES], ignore_index=True)
    counts["rate"] = (counts["k"] / counts["n"].where(counts["n"] > 0)).astype("float64")
    counts["low"], counts["high"] = wilson(counts["k"], counts["n"])
    counts = _sorted(counts, [*keys, "measure"])
    return counts[[*keys, "measure", "k", "n", "rate", "low", "high", "unknown", "errors"]]


def loops_table(table: pd.DataFrame, *, grader: str = "rules") -> pd.DataFrame:
    """Give the rates per arm, loop and strength, pooled over layers; `loops` tells sites in several loops apart."""
    return rates(table, by=LOOP_CELL, grader=grader)


def readouts_table(store: Store) -> pd.DataFrame:
    """Give the mean of logit(yes) - logit(no) per arm, injection loop, strength and read-out loop, with a 95% interval.

    A read-out precedes the first draw, so repeats repeat it. They are averaged first, then the sites of a concept; n
    counts the concepts, and the t interval is over them.
    """
    return _readouts(store, trials_table(store))


def make_tables(store: Store) -> dict[str, pd.DataFrame]:
    """Make the four tables of a run by name. With several graders the rates get a column `grader`."""
    trials = trials_table(store)
    if trials.empty:
        raise InputError(f"{store.folder}: holds no trials yet; run the sweep first")
    if (trials["state"] == "error").all():  # nothing to grade, which is no reason to have no tables
        unknown_verdict = pd.Series(pd.NA, index=trials.index, dtype="boolean")
        trials = trials.assign(**{f"rules_{verdict}": unknown_verdict for verdict in VERDICTS})
    names = graders(trials) or ["rules"]
    tables = {"trials": trials}
    for name, make in {"rates": rates, "loops": loops_table}.items():
        parts = [make(trials, grader=grader) for grader in names]
        if len(names) > 1:
            parts = [part.assign(grader=grader) for part, grader in zip(parts, names, strict=True)]
        tables[name] = pd.concat(parts, ignore_index=True)
    return {**tables, "readouts": _readouts(store, trials)}


def write_tables(store: Store) -> list[Path]:
    """Write trials.csv, rates.csv, loops.csv and readouts.csv into the run's folder `tables`."""
    return [write_table(store.folder, name, table) for name, table in make_tables(store).items()]


def _counted(verdicts: pd.DataFrame, keys: list[str], measure: str) -> pd.DataFrame:
    failed = verdicts["state"] == "error"
    cells = verdicts.assign(failed=failed, verdict=verdicts[measure].mask(failed)).groupby(keys, dropna=False)
    counts = cells.agg(k=("verdict", "sum"), n=("verdict", "count"), errors=("failed", "sum"))
    counts["unknown"] = cells.size() - counts["n"] - counts["errors"]
    return counts.reset_index().astype(dict.fromkeys(("k", "n", "unknown", "errors"), "int64")).assign(measure=measure)


def _readouts(store: Store, trials: pd.DataFrame) -> pd.DataFrame:
    table = _with_loops(trials)
    keys = [*LOOP_CELL, *_varying(table, LOOP_CELL), "readout_loop"]
    read = store.frame("readouts").astype({"readout_loop": "Int64", "logit_yes": "float64", "logit_no": "float64"})
    read["difference"] = read["logit_yes"] - read["logit_no"]
    read = read.merge(table[["trial", *keys[:-1], "concept", "sites"]], on="trial", validate="many_to_one")
    for unit in ([*keys, "concept", "sites"], [*keys, "concept"]):
        read = read.groupby(unit, dropna=False)[["difference"]].mean().reset_index()
    groups = [(*cell, *mean_interval(part), len(part)) for cell, part in read.groupby(keys, dropna=False)["difference"]]
    means = pd.DataFrame(groups, columns=[*keys, "mean", "low", "high", "n"])
    means = means.astype({key: read[key].dtype for key in keys})
    return _sorted(means, keys)[[*keys, "mean", "n", "low", "high"]]


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


def _sorted(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sort rows by the keys, arms and measures in their own order, missing last."""
    ranks = {name: rank for rank, name in enumerate((*ARMS, *MEASURES))}
    ranked = {"arm", "measure"}
    return table.sort_values(
        keys, key=lambda column: column.map(ranks) if column.name in ranked else column, ignore_index=True
    )
