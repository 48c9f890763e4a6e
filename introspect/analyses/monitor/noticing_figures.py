"""Figures of injected thoughts: who notices and names them, and where they can be read.

In go the tables, out come the axes.
"""

import matplotlib
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from introspect.analyses.monitor.refits import OF_REFITS, ONE_FIT
from introspect.results.figures.layout import caption, legend
from introspect.results.figures.map_grid import draw_grid, finish, map_panels, pivot
from introspect.results.figures.panels import even_ticks, label_outer, panels, points
from introspect.results.figures.style import STYLE, span_of

_LOOKS = {
    **{"words": ("#D55E00", "o", "-"), "logits": ("#E69F00", "s", "-")},
    **{"probe": ("#0072B2", "D", "-"), "shuffled": ("#56B4E9", "x", "--")},
}
"""Colour, marker and line of who notices."""
_NAMES = {"words": "words (rules)", "logits": "logits", "probe": "probe", "shuffled": "probe of shuffled labels"}
_TITLES = {"detection": "detected", "naming": "named"}


@matplotlib.rc_context(STYLE)
def who_notices(monitors: pd.DataFrame) -> list[Axes]:
    """Draw detection and naming by the loop of the injection: a row of panels per strength."""
    strengths, loops = sorted(monitors["strength"].unique()), sorted(monitors["loop"].unique())
    axes = panels(2 * len(strengths), width=2.1, height=1.9, columns=2)
    places = [(strength, measure) for strength in strengths for measure in _TITLES]
    for ax, (strength, measure) in zip(axes, places, strict=True):
        cells = monitors[(monitors["measure"] == measure) & (monitors["strength"] == strength)]
        for rank, (by, (colour, marker, style)) in enumerate(_LOOKS.items()):
            line = cells[cells["by"] == by]
            line = line.assign(x=line["loop"].map(loops.index), rate=line["value"])
            bounds = {name: line[name].fillna(line["value"]) for name in ("low", "high")}
            beside = {"place": rank, "of": len(_LOOKS), "slots": len(loops)}
            points(ax, line.assign(**bounds), **beside, color=colour, marker=marker, linestyle=style, label=_NAMES[by])
        if measure == "detection":
            ax.axhline(0.5, color="black", linewidth=0.8, label="chance of detection")
        even_ticks(ax, loops, "loop of the injection")
        ax.set(title=f"{_TITLES[measure]}, strength {strength:g}", ylim=(-0.03, 1.03), ylabel="share right")
    label_outer(axes)
    legend(axes)
    counts = monitors[monitors["measure"].isin(_TITLES)]
    caption(
        axes,
        f"detection: mean of the shares right of injected trials and of random directions; read after all loops; bars: "
        f"95% intervals over {span_of(counts['concepts'])} concepts (bootstrap; detection by a probe: {OF_REFITS}); "
        f"n = {span_of(counts['n'])} trials",
    )
    return axes


@matplotlib.rc_context(STYLE)
def where_noticed(sites: pd.DataFrame) -> list[Axes]:
    """Draw detection by loop of the injection and loop after which is read: logits, and a probe at the last layer."""
    probe = sites[(sites["by"] == "probe") & (sites["read_layer"] == sites["read_layer"].max())]
    cells = pd.concat([sites[sites["by"] == "logits"], probe])
    cells = cells.assign(x=cells["loop"].astype("str"), y=cells["read_loop"].astype("str"))
    xs, ys = (sorted(cells[axis].unique(), key=int) for axis in ("x", "y"))
    axes = map_panels(2, len(xs), len(ys))
    colours = ScalarMappable(Normalize(0, 1), colormaps["viridis"])
    for ax, by in zip(axes, ("logits", "probe"), strict=True):
        draw_grid(ax, pivot(cells[cells["by"] == by], "value", xs, ys), colours, "{:.2f}")
        title = by if by == "logits" else f"probe, layer {probe['read_layer'].max():.0f}"
        ax.set(title=title, xlabel="loop of the injection", ylabel="read after loop")
    finish(axes, colours, "share told from random directions")
    caption(
        axes,
        f"strengths and layers pooled; probe: one split (in the table, {ONE_FIT}); "
        f"n = {span_of(cells['n'])} trials per cell; hatched: before the injection",
    )
    return axes
