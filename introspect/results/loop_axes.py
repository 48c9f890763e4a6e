"""Figures along the loop axis: the loop of the vector, and the loops run. In go rates per loop, out come axes."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from introspect.results.maps import draw_grid, finish, map_panels, pivot
from introspect.results.panels import (
    MEASURE_LABELS,
    STYLE,
    caption,
    in_order,
    injected,
    label_outer,
    legend,
    loop_labels,
    panels,
    points,
    span_of,
)


@matplotlib.rc_context(STYLE)
def extract_map(loops: pd.DataFrame) -> list[Axes]:
    """Draw the rate of detection over the loop of the injection and the loop that the vector is from."""
    cells = injected(loops)
    cells = cells.assign(x=loop_labels(cells), y=cells["extract_loop"].astype("str"))
    xs, ys = in_order(cells["x"]), in_order(cells["y"])
    strengths = sorted(cells["strength"].unique())
    axes = map_panels(len(strengths), len(xs), len(ys))
    colours = ScalarMappable(Normalize(0, 1), colormaps["viridis"])
    for ax, strength in zip(axes, strengths, strict=True):
        draw_grid(ax, pivot(cells[cells["strength"] == strength], "rate", xs, ys), colours, "{:.2f}")
        ax.set(title=f"strength {strength:g}", xlabel="loop of the injection", ylabel="loop of the vector")
    finish(axes, colours, MEASURE_LABELS["detected"])
    caption(axes, f"layers pooled; n = {span_of(cells['n'])} per cell")
    return axes


@matplotlib.rc_context(STYLE)
def loops_run(loops: pd.DataFrame) -> list[Axes]:
    """Draw the rate of detection against the number of loops run, a line per loop of the injection."""
    cells = injected(loops)
    cells = cells.assign(x=loop_labels(cells))
    strengths, names = sorted(cells["strength"].unique()), in_order(cells["x"])
    axes = panels(len(strengths), width=2.1, height=1.9)
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(names)))
    for ax, strength in zip(axes, strengths, strict=True):
        for shade, name in zip(shades, names, strict=True):
            line = cells[(cells["strength"] == strength) & (cells["x"] == name)].sort_values("n_loops")
            points(ax, line.assign(x=line["n_loops"]), color=shade, marker="o", label=f"loop {name}")
        ax.set_xticks(sorted(cells["n_loops"].unique()))
        ax.set(
            title=f"strength {strength:g}", xlabel="loops run", ylabel=MEASURE_LABELS["detected"], ylim=(-0.02, 1.02)
        )
    label_outer(axes)
    legend(axes)
    caption(axes, f"bars: Wilson 95% intervals; n = {span_of(cells['n'])} per point")
    return axes
