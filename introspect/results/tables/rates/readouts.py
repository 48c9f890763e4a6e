"""Means of the read-outs of a run over concepts. In goes a store, out comes a frame.

Read as columns of numbers: a million trials have four million read-outs.
"""

import numpy as np
import pandas as pd

from introspect.protocols import questions_of
from introspect.results.statistics import mean_interval
from introspect.results.store import queries
from introspect.results.store.store import Store
from introspect.results.tables.rates.rates import LOOP_CELL, varying, with_loops
from introspect.results.tables.trials.trials import cells_table, in_order

READ = [("n", "i8"), ("loop", "i8"), ("difference", "f8")]


def _unit_means(store: Store, units: pd.Series) -> pd.DataFrame:
    """Return the mean of logit(yes) - logit(no) over the trials of a unit, a concept and a read-out loop.

    `units` has the unit of each cell, counted from 0, by the number of the cell. Columns: unit, concept, readout_loop,
    difference. Numbers are added from the least on, so that no digit depends on when the trials ran.
    """
    trials = pd.DataFrame(store.select(queries.UNITS_OF_TRIALS), columns=["n", "cell", "concept"])
    last, trials = trials["n"].max(), trials[trials["cell"].isin(units.index)]
    concepts = trials["concept"].astype("category").cat
    group = np.full(last + 1, -1)
    group[trials["n"]] = trials["cell"].map(units) * len(concepts.categories) + concepts.codes
    read = np.fromiter(store.select(queries.DIFFERENCES), dtype=READ)
    read = read[group[read["n"]] >= 0]
    loops = read["loop"].max(initial=0) + 1
    keys = group[read["n"]] * loops + read["loop"]
    order = np.lexsort((read["difference"], keys))
    means = pd.Series(read["difference"][order]).groupby(keys[order]).mean()
    group_of, loop = np.divmod(means.index.to_numpy(), loops)
    unit, concept = np.divmod(group_of, len(concepts.categories))
    names = concepts.categories.to_numpy()[concept]
    return pd.DataFrame({"unit": unit, "concept": names, "readout_loop": loop, "difference": means.to_numpy()})


def readouts_table(store: Store) -> pd.DataFrame:
    """Return mean of logit(yes) - logit(no) per arm, injection loop, strength and read-out loop, with a 95% interval.

    A read-out precedes the first draw, so repeats repeat it. They are averaged first, then the sites of a concept; n
    counts the concepts, and the t interval is over them.
    """
    return readouts_of(store, cells_table(store))


def readouts_of(store: Store, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the same, with the cells of the store at hand."""
    table = with_loops(cells[cells["question"].isin(questions_of("noticing", "plain"))])
    keys = [*LOOP_CELL, *varying(table, LOOP_CELL), "readout_loop"]
    by_unit = table.groupby([*keys[:-1], "sites"], dropna=False)
    read = _unit_means(store, by_unit.ngroup())
    found = table[[*keys[:-1], "sites"]].assign(unit=by_unit.ngroup()).drop_duplicates("unit")
    read = read.astype({"concept": "str", "readout_loop": "Int64"}).merge(found, on="unit", validate="many_to_one")
    for unit in ([*keys, "concept", "sites"], [*keys, "concept"]):
        read = read.groupby(unit, dropna=False)[["difference"]].mean().reset_index()
    groups = [(*cell, *mean_interval(part), len(part)) for cell, part in read.groupby(keys, dropna=False)["difference"]]
    means = pd.DataFrame(groups, columns=[*keys, "mean", "low", "high", "n"])
    means = means.astype({key: read[key].dtype for key in keys})
    return in_order(means, keys)[[*keys, "mean", "n", "low", "high"]]
