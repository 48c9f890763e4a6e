"""What becomes of a thought: noticed, there but unnoticed, changed into something else, or washed out.

Goes in: how much is left of each injection at the end of the loops, and the trials of a sweep with their verdicts.
Comes out: a row per site and strength.
"""

from collections.abc import Sequence

import pandas as pd

from introspect.results.rates import rates
from introspect.results.statistics import mean_interval

LEFT = 0.1
"""Share of the injected vector from which it counts as left, and distance of the paths from which they are apart."""
CELL = ["arm", "strength", "loop", "layer"]
FATES = ("noticed", "unnoticed", "transformed", "washed out")


def left_by_site(steps: pd.DataFrame) -> pd.DataFrame:
    """Average over concepts how far the paths are apart and what is left, at each (loop, layer) behind each site.

    Columns: CELL, `at_loop`, `at_layer`, and `relative`, `projection` and `cosine` with intervals over `n` concepts.
    """
    return means(steps, [*CELL, "at_loop", "at_layer"], ["relative", "projection", "cosine"])


def means(table: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Average columns over concepts, each concept once, with t intervals; a concept without a value is left out."""
    by_concept = table.groupby([*by, "concept"], as_index=False)[list(columns)].mean()
    rows = []
    for place, part in by_concept.groupby(list(by)):
        row = dict(zip(by, place if isinstance(place, tuple) else (place,), strict=True))
        for name in columns:
            row[name], row[f"{name}_low"], row[f"{name}_high"] = mean_interval(part[name].dropna())
        rows.append({**row, "n": part["concept"].nunique()})
    return pd.DataFrame(rows)


def fates(left: pd.DataFrame, trials: pd.DataFrame, *, n_loops: int, grader: str = "rules") -> pd.DataFrame:
    """Say what became of the thoughts of each site and strength, at the last (loop, layer) that the sweep ran.

    `noticed`: the interval of the detection rate lies above that of the trials without an injection. Else `unnoticed`:
    at least LEFT of the vector is left (projection); `transformed`: less, but the states are still apart by at least
    LEFT of their norm; `washed out`: neither. Intervals of rates are Wilson's.
    """
    last = left[(left["at_loop"] == n_loops - 1) & (left["at_layer"] == left["at_layer"].max())]
    table = trials[(trials["question"] == "detect") & (trials["n_loops"] == n_loops)]
    found = rates(table, by=["arm", "strength", "loop", "layer"], grader=grader)
    found = found[found["measure"] == "detected"]
    none = found[found["arm"] == "none"]
    bar = float(none["high"].max()) if len(none) else float("nan")
    joined = last.merge(found[[*CELL, "k", "n", "rate", "low", "high"]], on=CELL, suffixes=("", "_answers"))
    joined = joined.rename(columns={"n": "concepts", "n_answers": "n"}).assign(none_high=bar)
    return joined.assign(fate=[_fate(row) for _, row in joined.iterrows()]).drop(columns=["at_loop", "at_layer"])


def _fate(row: "pd.Series[float]") -> str | None:
    if row[["low", "none_high", "projection", "relative"]].isna().any():
        return None
    if row["low"] > row["none_high"]:
        return "noticed"
    if row["projection"] >= LEFT:
        return "unnoticed"
    return "transformed" if row["relative"] >= LEFT else "washed out"
