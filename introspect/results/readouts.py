"""Means of the read-outs of a run, before they are pooled over concepts. In goes a store, out comes a frame.

Read as columns of numbers: a million trials have four million read-outs.
"""

import numpy as np
import pandas as pd

from introspect.results import queries
from introspect.results.store import Store

READ = [("n", "i8"), ("loop", "i8"), ("difference", "f8")]


def unit_means(store: Store, units: pd.Series) -> pd.DataFrame:
    """Give the mean of logit(yes) - logit(no) over the trials of a unit, a concept and a read-out loop.

    `units` has the unit of each cell, counted from 0, by the number of the cell. Columns: unit, concept, readout_loop,
    difference. Numbers are added in the order of the trials' ids, so that no digit depends on when the trials ran.
    """
    trials = pd.DataFrame(store.select(queries.UNITS), columns=["n", "cell", "concept"])
    concepts = trials["concept"].astype("category").cat
    read = np.fromiter(store.select(queries.DIFFERENCES), dtype=READ)
    n, loops = read["n"], read["loop"].max(initial=0) + 1
    place, group = np.zeros((2, trials["n"].max() + 1), dtype=np.int64)
    place[trials["n"]] = np.arange(len(trials))
    group[trials["n"]] = trials["cell"].map(units) * len(concepts.categories) + concepts.codes
    order = np.argsort(place[n], kind="stable")
    keys = (group[n] * loops + read["loop"])[order]
    means = pd.Series(read["difference"][order]).groupby(keys).mean()
    group_of, loop = np.divmod(means.index.to_numpy(), loops)
    unit, concept = np.divmod(group_of, len(concepts.categories))
    names = concepts.categories.to_numpy()[concept]
    return pd.DataFrame({"unit": unit, "concept": names, "readout_loop": loop, "difference": means.to_numpy()})
