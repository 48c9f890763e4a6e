"""What the protocol `control` measures: the cosine of states with a concept's vector, told to think of it or not.

In goes a store, out comes a table: for every pair of instructions and for all together, at every site, the mean over
concepts of the cosine under the one that says to think minus that under the one that says not to, with its tests.
"""

from collections.abc import Iterator
from typing import cast

import pandas as pd

from introspect.protocols.material import instructions
from introspect.results.statistics import mean_interval
from introspect.results.statistics.flips import sign_flips
from introspect.results.statistics.studentised import studentised
from introspect.results.store.store import Store

_PREFIX = "control-"
ALL = "all"
COSINES = """SELECT question, concept, loop, layer, name, avg(value) FROM (
    SELECT cells.question, trials.concept, measures.name, measures.loop, measures.layer, value
    FROM measures JOIN trials USING (n) JOIN cells USING (cell) WHERE name LIKE 'cosine%') GROUP BY 1, 2, 3, 4, 5"""
_SIDES = ("positive", "negative")


def control_table(store: Store) -> pd.DataFrame:
    """Give, for each pair (first all together), loop and layer, the cosines and their difference over n concepts.

    `think` and `do_not` are the mean cosines under either instruction, `others` that with the vectors of other words
    under both; `z` is the mean of (think - others) in standard deviations of the other words. `mean`, `low`, `high` (t
    interval over concepts), `p` and `p_map` (sign flips by concept, `p_map` corrected over all pairs and sites),
    `p_student` and `p_student_map` (studentised bootstrap) are of think - do_not. Empty where nothing was measured.
    """
    found = cosines(store)
    if found.empty:
        return found
    pairs = [(ALL, found.groupby(["concept", "loop", "layer"]).mean(numeric_only=True).reset_index())]
    pairs += [(str(pair), part) for pair, part in found.groupby("pair")]
    return pd.DataFrame(_tested(dict(pairs)))


def cosines(store: Store) -> pd.DataFrame:
    """Return concept, loop, layer, pair, think, do_not, others, z and difference; of pairs whose sides both ran."""
    table = pd.DataFrame(store.select(COSINES), columns=["question", "concept", "loop", "layer", "name", "value"])
    named = {f"{_PREFIX}{each.id}": (each.pair, each.polarity) for each in instructions()}
    table = table[table["question"].isin(named)]
    table = table.assign(pair=[named[q][0] for q in table["question"]], side=[named[q][1] for q in table["question"]])
    wide = table.pivot_table(index=["concept", "loop", "layer", "pair"], columns=["name", "side"], values="value")
    if not {("cosine", side) for side in _SIDES} <= set(wide):
        return pd.DataFrame(columns=["concept", "loop", "layer", "pair", "difference"])
    think, do_not = (wide["cosine", side] for side in _SIDES)
    others, spread = (wide.loc[:, [(name, s) for s in _SIDES]].mean(axis=1) for name in ("cosine_others", "cosine_sd"))
    made = {"think": think, "do_not": do_not, "others": others, "z": (think - others) / spread}
    return pd.DataFrame({**made, "difference": think - do_not}).dropna().reset_index()


def _tested(pairs: dict[str, pd.DataFrame]) -> Iterator[dict[str, object]]:
    """Yield a row a pair and site; all are tested together, as they stand side by side in one figure."""
    sites = ["loop", "layer"]
    by_concept = {pair: part.pivot(index="concept", columns=sites, values="difference") for pair, part in pairs.items()}
    values = pd.concat({pair: wide.sort_index(axis=1) for pair, wide in by_concept.items()}, axis=1).sort_index()
    means = {pair: part.groupby(sites).mean(numeric_only=True) for pair, part in pairs.items()}
    every = values.to_numpy(dtype=float)
    tests, drawn = sign_flips(every), studentised(every)
    for place, column in enumerate(values.columns):
        pair, loop, layer = cast("tuple[str, int, int]", column)  # pandas types the columns as texts
        known = values[pair, loop, layer].dropna().to_numpy(dtype=float)
        mean, low, high = mean_interval(known)
        beside = {name: means[pair].loc[(loop, layer), name] for name in ("think", "do_not", "others", "z")}
        found = {"mean": mean, "low": low, "high": high, "p": tests.p[place], "p_map": tests.p_map[place]}
        found |= {"p_student": drawn.p[place], "p_student_map": drawn.p_map[place]}
        yield {"pair": pair, "loop": loop, "layer": layer, "n": len(known), **beside, **found}
