"""Where the exit gate would leave after the prompt, by the loop of the injection."""

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from introspect.results.figures.cell_labels import labels_in_order, loop_labels
from introspect.results.figures.curves import bands
from introspect.results.figures.layout import caption, legend
from introspect.results.figures.panels import even_ticks, label_outer, panels, points
from introspect.results.figures.style import STYLE, arm_look, arms_of, span_of


@matplotlib.rc_context(STYLE)
def exit_by_loop(exits: pd.DataFrame) -> list[Axes]:
    """Draw the expected exit loop against the loop of the injection, one panel per strength, the arms side by side."""
    questions = list(dict.fromkeys(exits["question"]))
    exits = exits[exits["question"] == questions[0]]
    exits = exits.assign(x=loop_labels(exits), rate=exits["mean"])
    active = exits[exits["strength"].notna()]
    strengths, xs = sorted(active["strength"].unique()), labels_in_order(active["x"])
    axes, arms = panels(len(strengths), width=2.1, height=1.7), arms_of(active)
    for ax, strength in zip(axes, strengths, strict=True):
        bands(ax, exits)
        for place, arm in enumerate(arms):
            line = active[(active["strength"] == strength) & (active["arm"] == arm)]
            look = arm_look(arm) | {"linestyle": "none"}
            points(ax, line.assign(x=line["x"].map(xs.index)), place=place, of=len(arms), slots=len(xs), **look)
        even_ticks(ax, xs, "loop of the injection")
        ax.set(title=f"strength {strength:g}", ylabel="expected exit loop")
    label_outer(axes)
    legend(axes)
    others = "; the other questions are in the table" if questions[1:] else ""
    said = f"question {questions[0]}{others}; loops from 0; bars and bands: 95% t intervals over concepts"
    caption(axes, f"{said}; n = {span_of(active['n'])} concepts")
    return axes
