"""Paths in two and three dimensions, for papers. In goes a Drawn, out come the axes."""

from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from introspect.analyses.trajectory.figures import loop_shades
from introspect.analyses.trajectory.path_drawing import Drawn
from introspect.results.figures.layout import caption, legend, room
from introspect.results.figures.style import MARKERS, STYLE

OUTSIDE, OUTSIDE_MARKER = "#888888", "."
"""Colour and shape of the points before and behind all loops."""


@matplotlib.rc_context(STYLE)
def in_two(drawn: Drawn) -> list[Axes]:
    """Draw a trial and its control over the first two components."""
    figure = Figure(figsize=(room() or 4.6, 3.6), layout="constrained")
    ax = figure.subplots()
    _paths(ax, drawn, 2)
    ax.set(xlabel=_component(drawn, 0), ylabel=_component(drawn, 1), title=drawn.title)
    return _finished(ax, drawn)


@matplotlib.rc_context(STYLE)
def in_three(drawn: Drawn) -> list[Axes]:
    """Draw the same over three."""
    width = room() or 4.6
    figure = Figure(figsize=(width, min(width, 3.8)), layout="constrained")
    ax: Any = figure.add_subplot(projection="3d")
    _paths(ax, drawn, 3)
    for number, axis in enumerate((ax.xaxis, ax.yaxis, ax.zaxis)):
        axis.set_major_locator(MaxNLocator(4))
        axis.set_label_text(_component(drawn, number))
        axis.labelpad = 4  # points: the ticks of an axis that is seen from the side stand in its label otherwise
    ax.set_title(drawn.title)
    ax.view_init(elev=22, azim=-60)
    ax.set_box_aspect(None, zoom=0.75)
    return _finished(ax, drawn)


def colours_of(drawn: Drawn) -> list[str]:
    """Return the colour of each point, by its loop; grey before and behind all loops."""
    shades = [to_hex(shade) for shade in loop_shades(drawn.n_loops)]
    return [shades[loop] if 0 <= loop < drawn.n_loops else OUTSIDE for loop in drawn.loops]


def _paths(ax: Any, drawn: Drawn, dimensions: int) -> None:  # Any: axes of two or of three dimensions
    colours = colours_of(drawn)
    for path, style, alpha in ((drawn.control, "--", 0.55), (drawn.trial, "-", 1.0)):
        places = path.numpy()[:, :dimensions]
        for end in range(1, len(places)):
            ax.plot(*places[end - 1 : end + 1].T, color=colours[end], linestyle=style, alpha=alpha)
        flat = {"depthshade": False} if dimensions == 3 else {}
        for loop in dict.fromkeys(drawn.loops):
            here = [place for place, each in enumerate(drawn.loops) if each == loop]
            look = {"color": colours[here[0]], "marker": _marker(drawn, loop)}
            ax.scatter(*places[here].T, s=9, alpha=alpha, zorder=3, **look, **flat)
    there = drawn.trial.numpy()[list(drawn.injected), :dimensions]
    ax.plot(*there.T, "*", color="black", markersize=9, zorder=5)


def _finished(ax: Any, drawn: Drawn) -> list[Axes]:
    shades = dict(zip(drawn.loops, colours_of(drawn), strict=True))
    handles = [
        Line2D([], [], color=shade, marker=_marker(drawn, loop), markersize=3, label=f"loop {loop}")
        for loop, shade in shades.items()
        if 0 <= loop < drawn.n_loops
    ]
    handles += [
        Line2D([], [], color=OUTSIDE, marker=OUTSIDE_MARKER, markersize=3, label="outside the loops"),
        Line2D([], [], color="black", label="trial"),
        Line2D([], [], color="black", linestyle="--", alpha=0.55, label="control"),
        Line2D([], [], color="black", marker="*", linestyle="none", markersize=8, label="injected"),
    ]
    legend([ax], handles)
    caption(
        [ax],
        "one trial and its control (n = 1), states of the prompt's last token under the metric of the "
        "unembedding; principal components of both paths together",
    )
    return [ax]


def _marker(drawn: Drawn, loop: int) -> str:
    return MARKERS[loop % len(MARKERS)] if 0 <= loop < drawn.n_loops else OUTSIDE_MARKER


def _component(drawn: Drawn, index: int) -> str:
    return f"component {index + 1} ({drawn.shares[index]:.0%})"
