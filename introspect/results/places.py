"""Which columns tell the cells of a run apart. In go the narrow trials of a run, out come names of columns."""

from collections.abc import Sequence

import pandas as pd

PLACE = ("loop", "layer", "strength")
FACTORS = ("template", "sites", "extract_loop", "n_loops", "strength_unit", "temperature", "top_p")
"""What tells cells apart beside loop, layer and strength, where it varies."""


def place_columns(trials: pd.DataFrame, without: Sequence[str] = ()) -> list[str]:
    """Name loop, layer and strength, and the factors that vary; `sites` only where an injection has several."""
    return [*PLACE, *(name for name in FACTORS if name not in without and _varies(trials, name))]


def _varies(trials: pd.DataFrame, name: str) -> bool:
    if name == "sites":
        return bool(trials["sites"].str.contains(",").fillna(False).any())
    return trials[name].nunique(dropna=True) > 1
