"""Rates of a run, per cell and per loop. In go trials, or counts of those that are alike, out come tidy frames.

A rate always comes with its n and 95% intervals. Nothing that varies in a run is pooled silently: what differs inside a
cell becomes a column of its own.
"""

from collections.abc import Sequence

import pandas as pd

from introspect.errors import unknown
from introspect.protocols import questions_of
from introspect.results.statistics import clustered_rates, unknown_bounds
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.store.queries import MEASURES, VERDICTS
from introspect.results.tables.trials.fluency import COLUMN
from introspect.results.tables.trials.trials import in_order

ESTIMATES = ("rate", "low", "high", "if_no", "if_yes")
RATE = ("k", "n", "concepts", "independent", *ESTIMATES[:3], "unknown", *ESTIMATES[3:], "errors", "note")
"""What is said of a rate."""
_CELL = ("arm", "loop", "layer", "strength")
LOOP_CELL = ("arm", "loop", "strength")

FACTORS = (
    *("model", "weights_hash", "dtype", "protocol", "question", "template", "template_hash", "extract_loop"),
    *("strength_unit", "vectors_hash", "n_loops", "temperature", "top_p", "max_new_tokens", "decided_by"),
)
"""Columns that become columns of the rates where they vary within a cell; concept, seed and repeat are pooled."""


def graders(table: pd.DataFrame) -> list[str]:
    """List the graders that have columns in a table of trials."""
    return [column.removesuffix("_detected") for column in table.columns if column.endswith("_detected")]


def rates(table: pd.DataFrame, *, by: Sequence[str] = _CELL, grader: str = "rules") -> pd.DataFrame:
    """Give, per cell and measure, k of n, the rate and its 95% interval, from a table of trials.

    A question about noticing has all measures but `correct`, any other only `correct` and those of coherence; by the
    model there is one only where it was measured. Only verdicts
    that are yes or no count in n; `unknown` counts the answers without one, `errors` the trials that
    failed. Where n is 0 the rate is NaN. `low` and `high` are Wilson's interval at the number of `independent` trials
    that n trials of so many `concepts` are worth (`clustered_rates`); there is one wherever n is above 0.
    `if_no` and `if_yes` are the rate if every unknown verdict were no, or yes. Where the column
    `cannot_answer` says that the model cannot answer at all, there is no rate. `note` says why a number is missing.
    Columns: those of `by`, the factors that vary within a cell, measure, and those of RATE. A table with a column
    `alike` has that many trials in a row.
    """
    if grader not in graders(table):
        raise unknown("grader of this run", grader, graders(table) or ["none, it has not been graded"])
    table = with_loops(pd.DataFrame({"alike": 1, "cannot_answer": False}, index=table.index).assign(**table))
    keys = [*by, *varying(table, by)]
    verdicts = table.rename(columns={f"{grader}_{verdict}": verdict for verdict in VERDICTS})
    verdicts["both"] = verdicts["detected"] & verdicts["identified"]
    measures = [
        measure for measure in MEASURES if measure != COLUMN or (COLUMN in table and table[COLUMN].notna().any())
    ]
    asked = [(measure, verdicts[belongs_to(verdicts["question"], measure)]) for measure in measures]
    parts = [_counted(part, keys, measure) for measure, part in asked if not part.empty]
    counts = pd.concat(parts, ignore_index=True)
    counts["rate"] = (counts["k"] / counts["n"].where(counts["n"] > 0)).astype("float64")
    counts["if_no"], counts["if_yes"] = unknown_bounds(counts["k"], counts["n"], counts["unknown"])
    counts["note"] = _notes(counts)
    counts.loc[counts["cannot_answer"], list(ESTIMATES)] = float("nan")
    return in_order(counts, [*keys, "measure"])[[*keys, "measure", *RATE]]


def loops_table(table: pd.DataFrame, *, grader: str = "rules") -> pd.DataFrame:
    """Return the rates per arm, loop and strength, pooled over layers; `loops` tells sites in several loops apart."""
    return rates(table, by=LOOP_CELL, grader=grader)


ALL_UNKNOWN, ALL_FAILED = "no rate: every answer is unknown", "no rate: every trial failed"


def _notes(counts: pd.DataFrame) -> pd.Series:
    """Say for each rate why it is missing; the first reason that holds."""
    reasons = {
        CANNOT_ANSWER: counts["cannot_answer"],
        ALL_UNKNOWN: (counts["n"] == 0) & (counts["unknown"] > 0),
        ALL_FAILED: counts["n"] == 0,
    }
    notes = pd.Series(None, index=counts.index, dtype="str")
    for reason, holds in reversed(reasons.items()):
        notes = notes.mask(holds, reason)
    return notes


def belongs_to(question: pd.Series, measure: str) -> pd.Series:
    """Tell which questions a measure belongs to: whether an answer is correct is asked where noticing is not."""
    if measure in ("coherent", COLUMN):
        return pd.Series(True, index=question.index)
    return question.isin(questions_of("noticing")) != (measure == "correct")


def _counted(verdicts: pd.DataFrame, keys: list[str], measure: str) -> pd.DataFrame:
    alike, failed = verdicts["alike"], verdicts["state"] != "done"
    cannot = verdicts.groupby(keys, dropna=False)["cannot_answer"].all()
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
    found = clustered_rates(k.to_numpy(float), n.to_numpy(float))
    counts = counts.assign(**found._asdict(), cannot_answer=cannot)
    return counts.reset_index().astype(dict.fromkeys(("k", "n", "unknown", "errors"), "int64")).assign(measure=measure)


def varying(table: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """Name the factors that differ inside the cells of `by`; one that an earlier one explains is left out.

    Where trials have several sites, or some outside of the loops, these are named too: such cells have no loop.
    """
    several = table["sites"].str.contains(",|e|a").fillna(False).astype(bool).any()
    sites = ("sites",) if "layer" in by else ("loops", "n_sites")
    first = [sites[0]] if several and "loop" in by else []
    return first + splitting(table, (*(sites if "loop" in by else ()), *FACTORS), [*by, *first])


def splitting(table: pd.DataFrame, factors: Sequence[str], by: Sequence[str]) -> list[str]:
    """Name the factors that differ inside the cells of `by`; one that an earlier one explains is left out."""
    found: list[str] = []
    for factor in factors:
        cells = table.groupby([*by, *found], dropna=False)[factor]
        if (cells.nunique(dropna=False) > 1).any():
            found.append(factor)
    return found


def with_loops(table: pd.DataFrame) -> pd.DataFrame:
    """Add the distinct loops of the sites, "0,1", and the number of sites."""
    pairs = {sites: [site.split(":") for site in sites.split(",")] for sites in table["sites"].dropna().unique()}
    loops = {sites: ",".join(dict.fromkeys(loop for loop, _ in found)) for sites, found in pairs.items()}
    counts = {sites: len(found) for sites, found in pairs.items()}
    return table.assign(
        loops=table["sites"].map(loops).astype("str"), n_sites=table["sites"].map(counts).astype("Int64")
    )
