"""Where the exit gate would leave after the prompt, by the loop of the injection."""

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from introspect.results.figures.panels import (
    ARM_LABELS,
    COLOURS,
    STYLE,
    caption,
    labels_in_order,
    legend,
    loop_labels,
    panels,
    points,
    span_of,
)


@matplotlib.rc_context(STYLE)
def exit_by_loop(exits: pd.DataFrame) -> list[Axes]:
    """Draw the expected exit loop against the loop of the injection, a panel a strength, the arms side by side."""
    exits = exits[exits["question"] == exits["question"].iloc[0]]
    exits = exits.assign(x=loop_labels(exits), rate=exits["mean"])
    active = exits[exits["strength"].notna()]
    strengths, xs = sorted(active["strength"].unique()), labels_in_order(active["x"])
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
