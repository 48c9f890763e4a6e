"""What the tables of `dynamics` say, a sentence each."""

from collections.abc import Mapping

import pandas as pd

from introspect.analyses.dynamics.fates import FATES, RETURNED
from introspect.analyses.dynamics.fixed_points import Settled
from introspect.results.figures.style import ARM_LABELS


def dynamics_sentences(settled: Settled, tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Write the sentences, each with its n."""
    sentences = [_verdict(settled), _distinct(settled), _tokens(settled), _attention(tables["attention"])]
    if "arms" in tables:
        sentences += [_arm(row) for _, row in tables["arms"].iterrows()]
        sentences += _left(tables["left"])
    if "fates" in tables:
        sentences.append(_fates(tables["fates"]))
    return tuple(sentences)


def _between(row: "pd.Series[float]", name: str, form: str = ".3g") -> str:
    """Write a value with its interval."""
    value, low, high = (row[each] for each in (name, f"{name}_low", f"{name}_high"))
    return f"{value:{form}}" if pd.isna(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _verdict(settled: Settled) -> str:
    loops, texts = settled.layers["loop"].max() + 1, settled.distinct["n"].iloc[0]
    does = {"converges": "The loops settle", "degenerate": "The loops settle, all layers in one place"}
    begin = does.get(settled.verdict, "The loops do not settle")
    away = f"half-way the layer farthest from its end is {settled.away:.2g} away (1 - cosine)"
    turn = f"the last loop turns it by {settled.turn:.2g} radians"
    return f"{begin} in {loops} loops: {away}, and {turn} (n = {texts} texts)."


def _distinct(settled: Settled) -> str:
    row = settled.distinct[settled.distinct["layer"] == "lowest"].iloc[0]
    return f"The lowest cosine between the first layer's last state and another's is {_between(row, 'cosine')}."


def _tokens(settled: Settled) -> str:
    counts = ", ".join(f"{row['k']} {row['class']}" for _, row in settled.tokens.iterrows())
    first = settled.tokens.iloc[0]
    return f"Paths of {first['n']} tokens, seen from where {first['recurrences']} recurrences end: {counts}."


def _attention(pairs: pd.DataFrame) -> str:
    same = pairs[(pairs["layer"] == pairs["layer_other"]) & (pairs["loop_other"] == pairs["loop"] + 1)]
    if same.empty:
        return "Attention was measured in one loop only."
    steps = same.groupby("loop")["distance"].mean()
    ends = f"{steps.iloc[0]:.2g} from the first loop to the second, {steps.iloc[-1]:.2g} between the last two"
    return f"The attention matrices of a layer change by {ends} of {steps.index.max() + 2} (Frobenius)."


def _arm(row: "pd.Series[float]") -> str:
    moved = f"the distance to the path without one changes by a factor of {_between(row, 'factor')} per loop"
    back = f"{row['returned']} of {row['trials']} trials end within {RETURNED:.0%} of it"
    return f"After an injection ({ARM_LABELS[str(row['arm'])]}) {moved} (n = {row['n']} concepts); {back}."


def _left(left: pd.DataFrame) -> list[str]:
    last = left[(left["at_loop"] == left["n_loops"] - 1) & (left["at_layer"] == left["at_layer"].max())]
    last = last[(last["arm"] == "injected") & (last["at_loop"] > last["loop"])]
    if last.empty:
        return []
    by_loop = last.groupby("loop")["projection"].mean()
    listed = ", ".join(f"{value:.2f} (loop {loop})" for loop, value in by_loop.items())
    return [
        f"At the end of the loops as run, the share of the vector that is left is {listed}, by the loop it went in."
    ]


def _fates(table: pd.DataFrame) -> str:
    injected = table[table["arm"] == "injected"]
    counts = ", ".join(f"{(injected['fate'] == fate).sum()} {fate}" for fate in FATES)
    return f"Of {len(injected)} sites and strengths the concept's thought was: {counts}."
