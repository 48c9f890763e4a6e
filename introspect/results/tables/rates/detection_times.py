"""When the noticing shows: tokens until the claim, and the loop after which yes first outweighs no.

In go trials as the statistics take them, out comes a table with a row a cell and measure.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from introspect.protocols import questions_of
from introspect.results.statistics import mean_interval
from introspect.results.tables.rates.cell_columns import place_columns

_FIRST_YES = "first_yes"
"""The measure that is read out, whatever the grader."""


def timing(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Give, for every cell, when something is noticed: columns of the cell, measure, grader and numbers.

    `tokens`: tokens of the answer when it first claims to notice, by graders that read words. `first_yes`: the read-out
    loop after which logit(yes) first is above logit(no); no grader. `n` trials have a value, in `never` it did not come
    to it; the mean is over concepts, with a t interval, the median over trials. All are of trials that got there: cells
    with many in `never` are not slow but silent.
    """
    asked = trials[trials["question"].isin(questions_of("noticing")) & (trials["state"] == "done")]
    if asked.empty:
        return pd.DataFrame()
    keys = ["arm", *place_columns(asked[asked["arm"] != "none"])]
    parts: list[tuple[str, str | None, str]] = [(_FIRST_YES, None, _FIRST_YES)]
    parts += [("tokens", name, f"{name}_tokens") for name in graders if asked[f"{name}_tokens"].notna().any()]
    rows = [
        {"measure": measure, "grader": grader, **row}
        for measure, grader, column in parts
        for row in _rows(asked, keys, column)
    ]
    return pd.DataFrame(rows)


def _rows(asked: pd.DataFrame, keys: list[str], column: str) -> Iterator[dict[str, object]]:
    for place, part in asked.groupby(keys, dropna=False):
        values = part[column].astype("float64")
        mean, low, high = mean_interval(values.groupby(part["concept"]).mean().dropna().to_numpy())
        counts = {"n": int(values.count()), "never": int(values.isna().sum())}
        numbers = {"mean": mean, "low": low, "high": high, "median": values.median()}
        note = None if counts["n"] else _NEVER
        yield {**dict(zip(keys, place, strict=True)), **counts, **numbers, "note": note}


_NEVER = "no trial came to it"
