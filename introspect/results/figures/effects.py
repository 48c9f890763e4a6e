"""What an injection does by its loop: to plain questions, to the choice of a concept, and when noticing shows.

Takes the table of the same name. Returns axes.
"""

from itertools import product
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from introspect.results.figures.cell_labels import injected, labels_in_order, layer_labels, loop_labels, spread_of
from introspect.results.figures.curves import bands
from introspect.results.figures.layout import caption, legend
from introspect.results.figures.panels import even_ticks, label_outer, panels, points
from introspect.results.figures.style import MARKERS, STYLE, arm_look, arms_of, span_of

LAYERS_BESIDE = 3
"""Layers that are drawn side by side; of more, these are spread from the first to the last."""
PLAIN_SHIFTS = {
    "slope": "slope of the shift\n(0: none, \N{MINUS SIGN}1: to zero)",
    "intercept": "pull towards yes\n(logits)",
    "entropy": "change of entropy\n(nats)",
}
TIMES = {"first_yes": "loop after which yes\nfirst outweighs no", "tokens": "tokens until\nthe claim"}


@matplotlib.rc_context(STYLE)
def compression_by_loop(compression: pd.DataFrame) -> list[Axes]:
    """Draw what the strongest dose does to plain questions, by loop of the injection, one panel per measure."""
    cells = compression[compression["strength"].notna()]
    shown = cells[cells["strength"] == cells["strength"].max()].assign(rate=lambda rows: rows["mean"])
    shown = shown.assign(x=loop_labels(shown), y=layer_labels(shown))
    measures, xs = [name for name in PLAIN_SHIFTS if (shown["measure"] == name).any()], labels_in_order(shown["x"])
    arms, layers = arms_of(shown), _layers_shown(shown)
    axes = panels(len(measures), width=2.3, height=1.7, same_scale=False)
    for ax, measure in zip(axes, measures, strict=True):
        for place, (arm, layer) in enumerate(product(arms, layers)):
            line = shown[(shown["measure"] == measure) & (shown["arm"] == arm) & (shown["y"] == layer)]
            beside = {"place": place, "of": len(arms) * len(layers), "slots": len(xs)}
            points(ax, line.assign(x=line["x"].map(xs.index)), **beside, **_look(arm, layer, layers))
        ax.axhline(0, color="#555555", linewidth=0.6, zorder=0)
        even_ticks(ax, xs, "loop of the injection")
        ax.set(ylabel=PLAIN_SHIFTS[measure])
    label_outer(axes, same_scale=False)
    legend(axes)
    said = f"plain questions, nothing to notice; {_layers_said(layers, shown)}t intervals over concepts"
    caption(
        axes, f"{said}; strength {shown['strength'].iloc[0]:g}; n = {span_of(shown['n'])} concepts; compression.csv"
    )
    return axes


@matplotlib.rc_context(STYLE)
def naming_by_loop(naming: pd.DataFrame) -> list[Axes]:
    """Draw how often the right concept is chosen by loop, beside chance and the habit with nothing injected."""
    naming = naming.assign(x=loop_labels(naming), y=layer_labels(naming))
    written, naming = naming[naming["strength"].isna()], naming[naming["strength"].notna()]
    strengths, xs = sorted(naming["strength"].unique()), labels_in_order(naming["x"])
    axes = panels(len(strengths), width=2.1, height=1.7)
    arms, layers = arms_of(naming), _layers_shown(naming)
    for ax, strength in zip(axes, strengths, strict=True):
        at = naming[naming["strength"] == strength]
        bands(ax, written)
        ax.axhline(at["chance"].iloc[0], color="#555555", linestyle=":", label="chance")
        ax.axhline(at["habit"].mean(), color="#999999", linestyle="--", label="habit without injection")
        for place, (arm, layer) in enumerate(product(arms, layers)):
            line = at[(at["arm"] == arm) & (at["y"] == layer)]
            beside = {"place": place, "of": len(arms) * len(layers), "slots": len(xs)}
            points(ax, line.assign(x=line["x"].map(xs.index)), **beside, **_look(arm, layer, layers))
        even_ticks(ax, xs, "loop of the injection")
        ax.set(title=f"strength {strength:g}", ylabel="rate of the right concept", ylim=(-0.02, 1.02))
    label_outer(axes)
    legend(axes)
    said = f"{_layers_said(layers, naming)}bars: 95% intervals over concepts"
    caption(axes, f"{said}; n = {span_of(naming['n'])} per point")
    return axes


@matplotlib.rc_context(STYLE)
def timing_by_loop(timing: pd.DataFrame) -> list[Axes]:
    """Draw when the noticing shows against the loop of the injection, of the strongest dose, a panel a measure."""
    shown = injected(timing)
    shown = shown[shown["strength"] == shown["strength"].max()]
    shown = shown.assign(x=loop_labels(shown), y=layer_labels(shown))
    measures, xs = list(dict.fromkeys(shown["measure"])), labels_in_order(shown["x"])
    axes, layers = panels(len(measures), width=2.3, height=1.7, same_scale=False), _layers_shown(shown)
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(layers)))
    for ax, measure in zip(axes, measures, strict=True):
        for place, layer in enumerate(layers):
            line = shown[(shown["measure"] == measure) & (shown["y"] == layer)]
            line = line.assign(x=line["x"].map(xs.index), rate=line["mean"])
            look = {"color": shades[place], "marker": MARKERS[place % len(MARKERS)], "linestyle": "none"}
            points(ax, line, place=place, of=len(layers), slots=len(xs), label=f"layer {layer}", **look)
        even_ticks(ax, xs, "loop of the injection")
        ax.set(ylabel=TIMES[measure])
    label_outer(axes, same_scale=False)
    legend(axes)
    counts = f"n = {span_of(shown['n'])} concepts" if "n" in shown else ""
    some = f"layers {', '.join(layers)} of {shown['y'].nunique()}" if shown["y"].nunique() > len(layers) else ""
    said = f"of trials that got there, strength {shown['strength'].iloc[0]:g}; t intervals over concepts"
    caption(axes, "; ".join(filter(None, (said, some, counts))))
    return axes


def _look(arm: str, layer: str, layers: list[str]) -> dict[str, Any]:  # Any: what matplotlib takes
    """Return how the points of an arm and a layer are drawn: unjoined, the first layer darkest; it is in the legend."""
    place = layers.index(layer)
    paler = {"linestyle": "none", "alpha": 1 - 0.6 * place / len(layers)}
    return arm_look(arm) | paler | ({"label": None} if place else {})


def _layers_shown(rows: pd.DataFrame) -> list[str]:
    return spread_of(labels_in_order(rows["y"]), LAYERS_BESIDE)


def _layers_said(layers: list[str], rows: pd.DataFrame) -> str:
    """Say which points are of which layer, where there are several."""
    if len(layers) == 1:
        return ""
    few = f" of {rows['y'].nunique()}" if rows["y"].nunique() > len(layers) else ""
    return f"within an arm a point per layer, from left to right {', '.join(layers)}{few}; "
