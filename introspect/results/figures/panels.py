"""Panels of a figure in a row or on a page, and points with intervals on them that do not hide one another."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from introspect.results.figures.layout import PAGE_HEIGHT, PAGE_WIDTH, figure_of, room
from introspect.results.tables.trials.absence import AbsentError

LEAST_WIDTH = 3.2
"""Inches that a figure has at least."""
SQUEEZED = 0.7
"""Share of its width that a panel keeps at least where panels stand side by side on a page of a given width."""
APART = 4.5
"""Points from one mark to the next where several stand at one place and there is room: a little more than a mark."""
HELD_BY_PANELS = 0.7
"""Share of a page's height that rows of panels take at most; the rest is for legend and caption."""


def panels(
    count: int,
    *,
    width: float,
    height: float,
    columns: int | None = None,
    same_scale: bool = True,
    narrow: bool = True,
    held: float = HELD_BY_PANELS,
) -> list[Axes]:
    """Make axes of a size in inches on a figure of their own, side by side as far as `columns` and the page allow.

    Where the page has a given width, panels that may be `narrow` keep at least the share SQUEEZED of theirs. They are
    lower where all rows would take more than the share `held` of a page's height.

    Raises AbsentError for no axes at all: then no row has a place in the figure.
    """
    if not count:
        raise AbsentError("no row has a place in it")
    columns = columns_of(count, width, columns, narrow=narrow)
    rows = math.ceil(count / columns)
    height = min(height, held * PAGE_HEIGHT / rows)
    size = room() or max(LEAST_WIDTH, columns * width + 0.5), rows * height + 0.4
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=same_scale, squeeze=False)
    for spare in grid.flat[count:]:
        spare.remove()
    return list(grid.flat[:count])


def label_outer(axes: list[Axes], *, same_scale: bool = True) -> None:
    """Keep the labels of the first panel of each row, unless each has its scale, and the last of each column."""
    columns = axes[0].get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
    for place, ax in enumerate(axes):
        left, bottom = not same_scale or place % columns == 0, place + columns >= len(axes)
        ax.tick_params(labelleft=left, labelbottom=bottom)
        ax.set(xlabel=ax.get_xlabel() if bottom else "", ylabel=ax.get_ylabel() if left else "")


def even_ticks(ax: Axes, labels: Sequence[object], name: str) -> None:
    """Give each label a tick, at 0, 1, 2 and so on: as far apart as the marks around it need, whatever the numbers."""
    ax.set_xticks(range(len(labels)), [str(label) for label in labels])
    ax.set(xlabel=name, xlim=(-0.5, len(labels) - 0.5))


def columns_of(count: int, width: float, columns: int | None = None, *, narrow: bool = True) -> int:
    """Return how many panels of a width, of so many, stand side by side on the page."""
    least = SQUEEZED * width if narrow and room() is not None else width
    return max(1, min(columns or count, int(((room() or PAGE_WIDTH) - 0.3) // least)))


def points(ax: Axes, line: pd.DataFrame, *, place: int = 0, of: int = 1, slots: int = 1, **look: object) -> None:
    """Draw points with intervals over `x`, joined; what has no rate is left out.

    Of so many lines (`of`) each is shifted by its `place`, in points of the page whatever the axis is, so that none
    hides another; with `slots`, the ticks of the axis, the lines of one tick stay clear of those of the next.
    """
    line = line.dropna(subset="rate")
    if line.empty:
        return
    # an interval may miss its rate by rounding, and a length below zero is refused
    bars = np.clip([line["rate"] - line["low"], line["high"] - line["rate"]], 0, None)
    across = ScaledTranslation(_apart(ax, of, slots) * (place - (of - 1) / 2) / 72, 0, figure_of([ax]).dpi_scale_trans)
    fixed = {"capsize": 1.5, "elinewidth": 0.7, "clip_on": False, "transform": ax.transData + across}
    x = line["x"].astype(float)
    ax.errorbar(x, line["rate"], yerr=bars, **(fixed | look))  # type: ignore[arg-type]
    reach = np.nan_to_num(bars)  # a point without an interval is still within the limits
    for bound in (line["rate"] - reach[0], line["rate"] + reach[1]):  # what is shifted moves no limits by itself
        ax.update_datalim(np.column_stack([x, bound]))
    ax.autoscale_view()


def _apart(ax: Axes, of: int, slots: int) -> float:
    """Return the points from one of so many lines to the next, with so many ticks on a panel."""
    place = ax.get_subplotspec()
    columns = place.get_gridspec().ncols if place is not None else 1
    panel = 72 * (figure_of([ax]).get_figwidth() / columns - 0.5)
    return min(APART, 0.8 * panel / max(1, slots) / max(1, of))
