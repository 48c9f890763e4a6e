"""The best cell without its luck. In go values per trial or concept, out comes a cell chosen on half of the concepts.

The best of many noisy cells looks better than it is. Its value on the concepts that did not choose it is honest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.errors import InputError
from introspect.results.statistics.clusters import MIN_CONCEPTS, Estimate, rate
from introspect.results.statistics.contrasts import CELL


@dataclass(frozen=True)
class Selection:
    """The best cell and its two values; report the second."""

    cell: dict[str, object]
    cells: int
    """How many it was the best of."""

    chosen: Estimate
    """On the half that chose it: an optimist, and the interval does not know."""

    n_chosen: int
    """Values behind it, those missing left out."""

    held_out: Estimate
    n_held_out: int
    held_out_concepts: tuple[str, ...]
    """The half that did not choose."""


def best_cell(
    frame: pd.DataFrame,
    value: str,
    *,
    cell: Sequence[str] = CELL,
    estimate: Callable[[pd.Series, pd.Series], Estimate] = rate,
    seed: int = 0,
) -> Selection:
    """Choose the cell with the highest mean of `value` on a random half of the concepts, and report it on the others.

    `value` is a verdict of each trial, or an effect of each concept. Each concept counts the same in the choice; of
    equal cells the first in order is taken. Needs a column `concept`, and concepts enough for an interval on each half.
    """
    known = frame[frame[value].notna()]
    names = np.unique(known["concept"].astype(str))
    if len(names) < 2 * MIN_CONCEPTS:
        raise InputError(
            f"{len(names)} concepts are too few to choose a cell on half and report it on the other half; "
            f"at least {2 * MIN_CONCEPTS} are needed"
        )
    choosing = np.random.default_rng(seed).permutation(names)[: (len(names) + 1) // 2]
    chooses = known["concept"].astype(str).isin(choosing)
    means = _means(known[chooses], value, [*cell, "concept"]).groupby(list(cell), dropna=False)[value].mean()
    best = means.index[int(np.argmax(means.to_numpy()))]
    place = dict(zip(cell, best if isinstance(best, tuple) else (best,), strict=True))
    here = np.ones(len(known), dtype=bool)
    for column, at in place.items():
        here &= (known[column].isna() if pd.isna(at) else known[column] == at).to_numpy(dtype=bool)
    halves = [known[here & side] for side in (chooses, ~chooses)]
    first, second = (estimate(half["concept"], half[value]) for half in halves)
    others = tuple(str(name) for name in names if name not in set(choosing))
    return Selection(place, len(means), first, len(halves[0]), second, len(halves[1]), others)


def _means(frame: pd.DataFrame, value: str, keys: list[str]) -> pd.DataFrame:
    return frame.assign(**{value: frame[value].astype(float)}).groupby(keys, dropna=False)[value].mean().reset_index()
