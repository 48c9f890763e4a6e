"""Where the exit gate would leave behind the prompt, injected against controls. In goes a store, out come tables, axes.

The gate's distribution is measured where a sweep was run with an exit other than the last loop.
"""

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from introspect.results.measured import over_concepts
from introspect.results.panels import (
    ARM_LABELS,
    COLOURS,
    STYLE,
    caption,
    in_order,
    legend,
    loop_labels,
    panels,
    points,
    span_of,
)
from introspect.results.store import Store

EXPECTED = """SELECT cell, concept, avg(expected) FROM (
    SELECT trials.cell AS cell, concept, sum(measures.loop * value) AS expected
    FROM measures JOIN trials USING (n) WHERE name = 'exit' GROUP BY n) GROUP BY 1, 2"""
"""Of every cell and concept the loop at which the gate leaves, in expectation, over the repeats."""


def exits_table(store: Store, cells: pd.DataFrame) -> pd.DataFrame:
    """Give the expected exit loop per question, arm, loop of the injection and strength, from 0.

    The mean, with a t interval, is over n concepts, the layers of a concept first. Empty where no gate was read.
    """
    found = pd.DataFrame(store.select(EXPECTED), columns=["cell", "concept", "value"])
    return pd.DataFrame() if found.empty else over_concepts(found, cells)


@matplotlib.rc_context(STYLE)
def exit_by_loop(exits: pd.DataFrame) -> list[Axes]:
    """Draw the expected exit loop against the loop of the injection, a panel a strength, the arms side by side."""
    exits = exits[exits["question"] == exits["question"].iloc[0]]
    exits = exits.assign(x=loop_labels(exits), rate=exits["mean"])
    active = exits[exits["strength"].notna()]
    strengths, xs = sorted(active["strength"].unique()), in_order(active["x"])
    axes = panels(len(strengths), width=2.1, height=1.9, same_scale=True)
    for ax, strength in zip(axes, strengths, strict=True):
        for _, row in exits[exits["arm"] == "none"].iterrows():
            ax.axhline(row["mean"], color=COLOURS["none"], linestyle=":", label=ARM_LABELS["none"])
            ax.axhspan(row["low"], row["high"], color=COLOURS["none"], alpha=0.2, linewidth=0)
        at = active[active["strength"] == strength]
        arms = list(dict.fromkeys(at["arm"]))
        for place, arm in enumerate(arms):
            shift = 0.12 * (place - (len(arms) - 1) / 2)
            line = at[at["arm"] == arm].assign(x=lambda rows, shift=shift: rows["x"].map(xs.index) + shift)
            points(ax, line, color=COLOURS[arm], marker="o", label=ARM_LABELS[arm], linestyle="none")
        ax.set_xticks(range(len(xs)), xs)
        ax.set(title=f"strength {strength:g}", xlabel="loop of the injection", ylabel="expected exit loop")
    legend(axes)
    caption(axes, f"question {exits['question'].iloc[0]}; t intervals over {span_of(active['n'])} concepts")
    return axes
