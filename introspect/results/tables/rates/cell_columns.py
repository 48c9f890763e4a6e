"""Which columns tell the cells of a run apart. In go the narrow trials of a run, out come names of columns."""

from collections.abc import Sequence

import pandas as pd

from introspect.results.tables.rates.rates import splitting

PLACE = ("loop", "layer", "strength")
_FACTORS = ("template", "sites", "extract_loop", "n_loops")
"""What tells cells apart beside loop, layer and strength, where it varies within these; all else is one in a run."""


def place_columns(trials: pd.DataFrame, without: Sequence[str] = ()) -> list[str]:
    """Name loop, layer and strength, and the factors that vary; `sites` also where an injection is at no one loop."""
    elsewhere = ["sites"] if (trials["sites"].notna() & trials["loop"].isna()).any() else []
    first = [*PLACE, *elsewhere]
    return [*first, *splitting(trials, [name for name in _FACTORS if name not in (*without, *elsewhere)], first)]
