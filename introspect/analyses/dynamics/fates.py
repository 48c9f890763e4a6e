"""What becomes of a thought: noticed, there but unnoticed, changed into something else, or washed out.

Goes in: how much is left of each injection at the end of the loops, and the trials of a sweep with their verdicts.
Comes out: a row per site and strength.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from introspect.protocols import questions_of
from introspect.results.statistics import clustered_rates, mean_interval
from introspect.results.tables.rates.rates import rates

LEFT = 0.1
"""Share of the injected vector from which it counts as left, and distance of the paths from which they are apart."""
RETURNED = 0.05
"""Distance from the path without an injection, relative to the state, up to which a path has come back to it."""
FATE_KEYS = ["arm", "strength", "loop", "layer", "n_loops"]
FATES = ("noticed", "unnoticed", "transformed", "washed out")


def left_by_site(steps: pd.DataFrame) -> pd.DataFrame:
    """Average over concepts how far the paths are apart and what is left, at each (loop, layer) behind each site.

    Columns: CELL, `at_loop`, `at_layer`, and `relative`, `projection` and `cosine` with intervals over `n` concepts.
    """
    return mean_fates(steps, [*FATE_KEYS, "at_loop", "at_layer"], ["relative", "projection", "cosine"])


def returning(endings: pd.DataFrame, by: Sequence[str] = FATE_KEYS) -> pd.DataFrame:
    """Say how fast paths come together, and how many do.

    `factor` is the geometric mean over `n` concepts of the contraction per loop, with its interval; `returned` of
    `trials` end within RETURNED of the path without an injection, with an interval over concepts.
    """
    logs = endings.assign(factor=np.log(endings["factor"].astype("float64")))
    table = mean_fates(logs, by, ["factor", "start", "end"])
    for name in ("factor", "factor_low", "factor_high"):
        table[name] = np.exp(table[name])
    ended = endings.assign(returned=endings["end"] <= RETURNED)
    each = ended.groupby([*by, "concept"])["returned"].agg(returned="sum", trials="size")
    by_concept = each.unstack("concept", fill_value=0)
    low, high, *_ = clustered_rates(by_concept["returned"], by_concept["trials"])
    counts = each.groupby(list(by)).sum().assign(returned_low=low, returned_high=high)
    return table.merge(counts.reset_index(), on=list(by))


def mean_fates(table: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Average columns over concepts, each concept once, with t intervals; a concept without a value is left out."""
    by_concept = table.groupby([*by, "concept"], as_index=False)[list(columns)].mean()
    rows = []
    for place, part in by_concept.groupby(list(by)):
        row = dict(zip(by, place if isinstance(place, tuple) else (place,), strict=True))
        for name in columns:
            row[name], row[f"{name}_low"], row[f"{name}_high"] = mean_interval(part[name].dropna())
        rows.append({**row, "n": part["concept"].nunique()})
    return pd.DataFrame(rows)


def fates(left: pd.DataFrame, trials: pd.DataFrame, *, grader: str = "rules") -> pd.DataFrame:
    """Say what became of the thoughts of each site and strength, at the last (loop, layer) that the sweep ran.

    `noticed`: the interval of the detection rate lies above that of the trials without an injection. Else `unnoticed`:
    at least LEFT of the vector is left (projection); `transformed`: less, but the states are still apart by at least
    LEFT of their norm; `washed out`: neither. Intervals are those of the rates, over `n` answers.
    """
    last = left[(left["at_loop"] == left["n_loops"] - 1) & (left["at_layer"] == left["at_layer"].max())]
    found = rates(trials[trials["question"].isin(questions_of("noticing"))], by=FATE_KEYS, grader=grader)
    found = found[found["measure"] == "detected"]
    bars = found[found["arm"] == "none"].set_index("n_loops")["high"]
    answers = found[[*FATE_KEYS, "k", "n", "rate", "low", "high"]]
    joined: pd.DataFrame = last.rename(columns={"n": "concepts"}).merge(answers, on=FATE_KEYS)
    joined = joined.assign(none_high=joined["n_loops"].map(bars).astype("float64"))
    joined["fate"] = [_fate(row) for _, row in joined.iterrows()]
    return joined.drop(columns=["at_loop", "at_layer"])


def _fate(row: "pd.Series[float]") -> str | None:
    if row[["low", "none_high", "projection", "relative"]].isna().any():
        return None
    if row["low"] > row["none_high"]:
        return "noticed"
    if row["projection"] >= LEFT:
        return "unnoticed"
    return "transformed" if row["relative"] >= LEFT else "washed out"
