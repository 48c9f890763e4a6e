"""The measure of the protocol `control`: the cosine of states with a concept's vector, told to think of it or not.

In goes a store, out come one difference a concept and site: the mean over the pairs of instructions of the cosine under
the one that says to think minus that under the one that says not to.
"""

import numpy as np
import pandas as pd

from introspect.protocols.material import instructions
from introspect.report.differences import Difference, over_concepts
from introspect.results.statistics import mean_interval
from introspect.results.statistics.flips import sign_flips
from introspect.results.store import Store

PREFIX = "control-"
COSINES = """SELECT question, concept, loop, layer, avg(value) FROM (
    SELECT cells.question, trials.concept, measures.loop, measures.layer, value
    FROM measures JOIN trials USING (n) JOIN cells USING (cell) WHERE name = 'cosine') GROUP BY 1, 2, 3, 4"""


def cosine_differences(store: Store) -> pd.DataFrame:
    """Give concept, loop, layer, difference; empty where nothing was measured, or only one side of every pair."""
    table = pd.DataFrame(store.select(COSINES), columns=["question", "concept", "loop", "layer", "cosine"])
    named = {f"{PREFIX}{each.id}": (each.pair, each.polarity) for each in instructions()}
    table = table[table["question"].isin(named)]
    table = table.assign(pair=[named[q][0] for q in table["question"]], side=[named[q][1] for q in table["question"]])
    sides = table.pivot_table(index=["concept", "loop", "layer", "pair"], columns="side", values="cosine")
    if not {"positive", "negative"} <= set(sides):
        return pd.DataFrame(columns=["concept", "loop", "layer", "difference"])
    differences = (sides["positive"] - sides["negative"]).dropna()
    return differences.groupby(["concept", "loop", "layer"]).mean().rename("difference").reset_index()


def overall(differences: pd.DataFrame) -> Difference:
    """Average over all sites, so that no site is selected."""
    return over_concepts(differences.groupby("concept")["difference"].mean())


def by_site(differences: pd.DataFrame) -> pd.DataFrame:
    """Give each site's mean with interval and p, alone and corrected for looking at the whole map."""
    values = differences.pivot(index="concept", columns=["loop", "layer"], values="difference").sort_index(axis=1)
    tests, rows = sign_flips(values.to_numpy(dtype=float)), []
    for place, (loop, layer) in enumerate(values.columns):
        known = values.iloc[:, place].dropna().to_numpy(dtype=float)
        mean, low, high = mean_interval(known)
        found = {"mean": mean, "low": low, "high": high, "p": tests.p[place], "p_map": tests.p_map[place]}
        rows.append({"loop": loop, "layer": layer, "n": len(known), **found})
    return pd.DataFrame(rows).astype({"mean": np.float64})
