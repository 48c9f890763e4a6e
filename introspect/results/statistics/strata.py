"""A sample that is even over strata, and what each of its trials stands for. In go trials, out come rows and weights.

Strata are cells inside groups of arm and question. Small strata are sampled as often as large ones, so a mean over the
sample is not one over the run, unless each trial counts for all those that it stands for.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

GROUP = ["arm", "question"]
STRATUM = [*GROUP, "cell"]


def even_sample(trials: pd.DataFrame, n: int, *, seed: int = 0) -> pd.DataFrame:
    """Draw `n` trials, all if there are fewer, from columns arm, question and cell, and shuffle them.

    Every cell gives as many as every other, as far as it has them. With fewer trials than cells each group gives as
    many as every other, from cells of its own choice. The order of the rows matters, the numbers of the cells do not.
    """
    rng = np.random.default_rng(seed)
    rows = [np.asarray(each) for each in trials.groupby(STRATUM, sort=False).indices.values()]
    sizes = np.array([len(each) for each in rows])
    quotas = even_quotas(sizes, n, rng) if n >= len(rows) else _by_group(trials, rows, sizes, n, rng)
    chosen = [rng.choice(each, quota, replace=False) for each, quota in zip(rows, quotas, strict=True)]
    return trials.iloc[rng.permutation(np.concatenate(chosen))].reset_index(drop=True)


def even_quotas(sizes: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Share `n` out over strata of these sizes as evenly as they allow; who gets the rest is drawn."""
    quotas = np.zeros(len(sizes), dtype=np.int64)
    left = min(n, int(sizes.sum()))
    while left:
        room = np.flatnonzero(quotas < sizes)
        if left < len(room):
            quotas[rng.choice(room, left, replace=False)] += 1
            break
        given = np.minimum(sizes[room] - quotas[room], left // len(room))
        quotas[room] += given
        left -= int(given.sum())
    return quotas


def sampling_weights(population: pd.DataFrame, sample: pd.DataFrame) -> pd.Series:
    """Say how many trials of the population each trial of the sample stands for, by columns arm, question and cell.

    Inside a cell each counts the same. A cell without a sample is stood for by the others of its arm and question; a
    group without one is stood for by nobody.
    """
    cells = pd.DataFrame({"all": population.groupby(STRATUM).size(), "taken": sample.groupby(STRATUM).size()})
    cells = cells.fillna({"taken": 0})
    seen = cells["all"].where(cells["taken"] > 0, 0).groupby(level=GROUP).transform("sum")
    scale = cells["all"].groupby(level=GROUP).transform("sum") / seen.where(seen > 0)
    weights = (scale * cells["all"] / cells["taken"].where(cells["taken"] > 0)).rename("weight")
    return sample[STRATUM].join(weights, on=STRATUM)["weight"]


def _by_group(
    trials: pd.DataFrame, rows: list[NDArray[np.int64]], sizes: NDArray[np.int64], n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Share `n` out over groups, and what each gets over its cells."""
    firsts = trials.iloc[[each[0] for each in rows]].reset_index(drop=True)
    groups = [np.asarray(each) for each in firsts.groupby(GROUP, sort=False).indices.values()]
    quotas = np.zeros(len(rows), dtype=np.int64)
    shares = even_quotas(np.array([sizes[group].sum() for group in groups]), n, rng)
    for group, share in zip(groups, shares, strict=True):
        quotas[group] = even_quotas(sizes[group], share, rng)
    return quotas
