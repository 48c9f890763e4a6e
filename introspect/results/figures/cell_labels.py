"""Rows of a table by where they stand in a figure: labels of loops and layers, and one part per varying factor."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from introspect.results.tables.rates.rates import FACTORS, splitting

_OUTSIDE = {"prelude": -1, "coda": 1}
"""Stages outside of the loops, and on which side of them they are drawn."""
_PLACES = ("loop", "layer", "strength", "sites", "loops", "arm", "measure", "effect", "readout_loop", "pair")
"""Columns that say where in a figure a row goes."""
ALWAYS_SHARED = {"extract_loop", "strength_unit", "vectors_hash"}
"""Factors that trials without an injection do not have, so that these belong to every part."""


def spread_of(labels: Sequence[str], most: int = 4) -> list[str]:
    """Choose at most so many labels, evenly from the first to the last."""
    if len(labels) <= most:
        return list(labels)
    return [labels[round(place)] for place in np.linspace(0, len(labels) - 1, most)]


def injected(table: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows of the concept's own vector."""
    return table[table["arm"] == "injected"]


def loop_labels(table: pd.DataFrame) -> pd.Series:
    """Name the loop of each row: "2", or "0-3" where the sites lie in several; missing without an injection."""
    return _labels(table, "loop", 0)


def layer_labels(table: pd.DataFrame) -> pd.Series:
    """Name the layer of each row: "2", or "0-3" where the sites lie in several; missing without an injection."""
    return _labels(table, "layer", 1)


def labels_in_order(labels: pd.Series) -> list[str]:
    """List the different labels: the prelude, numbers by size, the coda, and then spans."""
    numbers = {label: [int(number) for number in re.findall(r"\d+", label)] for label in labels.dropna().unique()}
    return sorted(numbers, key=lambda label: (len(numbers[label]) > 1, _OUTSIDE.get(label, 0), numbers[label]))


def parts(table: pd.DataFrame, together: Sequence[str] = ()) -> Iterator[tuple[str, pd.DataFrame]]:
    """Split a table by the factors that vary in it, so that a figure never mixes them; each part has its controls.

    Factors in `together` vary within the figure, and so may one that the place explains, such as the loops run where
    these are so many more than the loop of the injection.
    Returns a label such as "n_loops=2 template=lindsey", empty when nothing varies, and the rows.
    """
    cells = table[table["arm"] != "none"] if "arm" in table else table
    names = [column for column in table.columns if column in (*FACTORS, "grader") and column not in together]
    factors = splitting(cells, names, [name for name in _PLACES if name in table])
    without = table.drop(cells.index)
    groups = cells.groupby(factors, dropna=False) if factors else [((), cells)]
    for values, part in groups:
        wanted: dict[str, Any] = dict(zip(factors, values, strict=True))
        match = pd.Series(True, index=without.index)
        for factor in set(names) - ALWAYS_SHARED:  # a question that is asked without an injection only has no part
            match &= without[factor].isin(part[factor].unique())
        label = " ".join(f"{factor}={'same' if pd.isna(value) else value}" for factor, value in wanted.items())
        yield label, pd.concat([part, without[match]], ignore_index=True)


def _labels(table: pd.DataFrame, column: str, place: int) -> pd.Series:
    labels = table[column].astype("str").where(table[column].notna())
    if "sites" in table:
        spans = table["sites"].map(lambda sites: _span(site.split(":")[place] for site in sites.split(",")), "ignore")
        return labels.fillna(spans)
    if "loops" in table:
        return labels.fillna(table["loops"].map(lambda loops: _span(loops.split(",")), "ignore"))
    return labels


def _span(names: Iterator[str] | list[str]) -> str:
    named = set(names)
    found, outside = sorted(int(name) for name in named if name.isdecimal()), sorted(named & set(_OUTSIDE))
    if len(found) > 1 and found == [*range(found[0], found[-1] + 1)]:
        return ",".join([f"{found[0]}-{found[-1]}", *outside])
    return ",".join([*map(str, found), *outside])
