"""The grid of a heat map: how large its cells are, how many maps a page holds, and what is drawn and written into one.

In go counts of cells, or a table of values; out come axes.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from introspect.results.figures.layout import PAGE_HEIGHT, figure_of, wrapped
from introspect.results.figures.panels import columns_of, label_outer, panels
from introspect.results.figures.style import STYLE
from introspect.results.tables.trials.absence import AbsentError

CELL_WIDTH, CELL_HEIGHT, LOW_CELL_HEIGHT, MANY_ROWS = 0.36, 0.3, 0.155, 8
"""Inches of a cell, lower where there are many rows."""
HELD = 0.85
"""Share of a page's height that panels may take, beside titles and captions."""
MINUS = "\N{MINUS SIGN}"
MOST_WRITTEN, SMALL = 1000, 0.1
"""Distances from 0 from which cells hold powers of ten, and below which they hold a third digit."""
NO_RATE = "\N{EN DASH}"


def map_panels(
    count: int, n_columns: int, n_rows: int, *, columns: int | None = None, narrow: bool = False
) -> list[Axes]:
    """Make axes for maps of so many cells, which are lower where the page would not hold all panels.

    Where what is written in a cell is short, the maps may be `narrow` where the page is.
    """
    width = _map_width(n_columns)
    rows = math.ceil(count / columns_of(count, width, columns, narrow=narrow))
    low = n_rows > MANY_ROWS or rows * _map_height(n_rows, CELL_HEIGHT) > HELD * PAGE_HEIGHT
    height = _map_height(n_rows, LOW_CELL_HEIGHT if low else CELL_HEIGHT)
    return panels(
        count, width=width, height=height, columns=columns, narrow=narrow, held=math.inf
    )  # cells need their height


def held_by_a_page(
    count: int, n_columns: int, n_rows: int, *, columns: int | None = None, narrow: bool = False
) -> bool:
    """Tell whether one page holds so many maps of so many cells, if they are low."""
    across = columns_of(count, _map_width(n_columns), columns, narrow=narrow)
    return math.ceil(count / across) * _map_height(n_rows, LOW_CELL_HEIGHT) <= HELD * PAGE_HEIGHT


def _map_width(n_columns: int) -> float:
    return max(1.75, n_columns * CELL_WIDTH + 0.45)


def _map_height(n_rows: int, cell: float) -> float:
    return max(n_rows * cell + 0.35, 1.05)


def pivot(cells: pd.DataFrame, value: str, xs: list[str], ys: list[str]) -> pd.DataFrame:
    """Lay rows out as a grid; two rows for one cell are an error. Infinity marks a row without a value."""
    marked = cells.assign(value=cells[value].astype("float64").fillna(np.inf))
    return marked.pivot(index="y", columns="x", values="value").reindex(index=ys, columns=xs)


def draw_grid(ax: Axes, grid: pd.DataFrame, colours: ScalarMappable, form: str) -> None:
    """Draw the grid, the first row at the bottom; what is missing or has no value shows the hatching behind.

    Infinity marks a cell that was run and has no value.
    """
    values = grid.to_numpy()
    ax.patch.set(facecolor="white", edgecolor="#999999", hatch="////")
    low, high = colours.get_clim()
    shown = np.ma.masked_invalid(values)
    ax.pcolormesh(shown, vmin=low, vmax=high, cmap=colours.cmap, edgecolor="white", linewidth=0.4)
    ax.set_xticks(np.arange(len(grid.columns)) + 0.5, grid.columns)
    step = 1 if len(grid) <= 2 * MANY_ROWS else 2
    ax.set_yticks(np.arange(0, len(grid), step) + 0.5, grid.index[::step])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            _annotate(ax, column, row, value, colours, form)


def _annotate(ax: Axes, column: int, row: int, value: float, colours: ScalarMappable, form: str) -> None:
    empty = np.isinf(value)
    red, green, blue, _ = colours.to_rgba(np.array(value)) if not empty else (1, 1, 1, 1)
    dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45
    text = NO_RATE if empty else form.format(value).replace("-", MINUS)
    colour = "white" if dark else "black"
    ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6, color=colour)


def reach_of(values: pd.Series) -> float:
    """Return the largest distance from 0, for colours around it. Raises AbsentError where no cell has a value."""
    known = values.dropna().abs()
    if known.empty:
        raise AbsentError("no cell has a value")
    return max(float(known.max()), 1e-9)


def signed_form(reach: float) -> str:
    """Return how numbers so far from 0 are written into cells: a few characters, whatever their size."""
    if reach >= MOST_WRITTEN:
        return "{:+.0e}"
    return "{:+.1f}" if reach >= 1 else "{:+.2f}" if reach >= SMALL else "{:+.3f}"


def finish(axes: list[Axes], colours: ScalarMappable, label: str) -> None:
    """Label the outer panels and put the bar of colours beside them."""
    label_outer(axes)
    figure, rows = figure_of(axes), axes[0].get_subplotspec().get_gridspec().nrows  # type: ignore[union-attr]
    lines = wrapped(label, max(0.85, 0.8 * (figure.get_figheight() - 0.5 * rows)), STYLE["axes.labelsize"])
    bar = figure.colorbar(colours, ax=axes, label=lines, fraction=0.05, aspect=18, shrink=0.9)
    bar.outline.set_visible(False)
