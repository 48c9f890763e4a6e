"""The figure of the design study. In goes a tidy table, out come axes."""

from itertools import cycle

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from introspect.results.figures.layout import caption, legend
from introspect.results.figures.panels import label_outer, panels
from introspect.results.figures.style import LINES, STYLE


@matplotlib.rc_context(STYLE)
def designs(paths: pd.DataFrame) -> list[Axes]:
    """Draw the angle from the loop before at the last block, a panel per design, a line per stack."""
    groups = list(paths.groupby(["refeed", "norm"], sort=False))
    axes = panels(len(groups), width=2.0, height=1.6, columns=3)
    sizes = sorted(paths["blocks"].unique())
    shades = colormaps["viridis"](np.linspace(0, 0.8, len(sizes)))
    looks = {size: {"color": shade, "linestyle": line} for size, shade, line in zip(sizes, shades, cycle(LINES))}
    for ax, ((refeed, norm), part) in zip(axes, groups, strict=True):
        for (blocks, _), line in part.groupby(["blocks", "seed"]):
            angle = np.sqrt(2 * (1 - line["change_cosine"]).clip(lower=1e-13))
            ax.plot(line["loop"] + 1, angle, **looks[blocks], linewidth=0.8, label=f"{blocks} blocks")
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set(yscale="log", ylim=(1e-4, 4), title=f"{norm}, {'' if refeed else 'no '}re-feed")
        ax.set(xlabel="loops run", ylabel="angle (radians)")
    label_outer(axes)
    legend(axes)
    seeds, steps = paths["seed"].nunique(), paths["steps"].iloc[0]
    weights = f"trained for {steps} steps" if steps else "with random weights"
    said = f"angle from the loop before; a line per stack {weights}; n = {seeds} seeds per size"
    caption(axes, f"{said}; mean over tokens of the last block")
    return axes
