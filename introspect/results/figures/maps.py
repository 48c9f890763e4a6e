"""Heat maps: rates over loop and layer, and what is read out after each loop of what was injected in each.

In goes a tidy table, out come the axes, one per strength (and arm); one annotated cell per row.
"""

import math

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from introspect.results.figures.cell_labels import injected, labels_in_order, layer_labels, loop_labels
from introspect.results.figures.layout import PAGE_HEIGHT, caption, figure_of, wrapped
from introspect.results.figures.panels import columns_of, label_outer, panels
from introspect.results.figures.style import ARM_LABELS, MEASURE_LABELS, STYLE, arms_of, pooled, span_of
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.statistics.intervals import MUCH_UNKNOWN, unknown_share
from introspect.results.tables.trials.absence import AbsentError

CELL_WIDTH, CELL_HEIGHT, LOW_CELL_HEIGHT, MANY_ROWS = 0.36, 0.3, 0.155, 8
"""Inches of a cell, lower where there are many rows."""
HELD = 0.85
"""Share of a page's height that panels may take, beside titles and captions."""
MINUS = "\N{MINUS SIGN}"
MOST_WRITTEN, SMALL = 1000, 0.1
"""Distances from 0 from which cells hold powers of ten, and below which they hold a third digit."""
NO_RATE = "\N{EN DASH}"
_UNKNOWN = "share of unknown answers"


def detection_map(rates: pd.DataFrame) -> list[Axes]:
    """Draw the rate of detection over loop and layer, one panel per strength."""
    return rate_map(rates, "detected")


def identification_map(rates: pd.DataFrame) -> list[Axes]:
    """Draw the rate of identification over loop and layer, one panel per strength."""
    return rate_map(rates, "identified")


@matplotlib.rc_context(STYLE)
def rate_map(rates: pd.DataFrame, measure: str) -> list[Axes]:
    """Draw one measure over loop and layer, one panel per strength, in colours fixed to 0-1; the caption has the n."""
    rates = rates[rates["measure"] == measure]
    cells = injected(rates)
    cells, left_out = on_a_page(cells.assign(x=loop_labels(cells), y=layer_labels(cells)))
    axes = rates_over(cells, "loop", "layer", measure)
    figure_of(axes).suptitle(MEASURE_LABELS.get(measure, measure).capitalize())
    caption(axes, _rate_caption(rates, cells) + left_out)
    return axes


@matplotlib.rc_context(STYLE)
def unknown_map(rates: pd.DataFrame, measure: str) -> list[Axes]:
    """Draw the share of unknown answers over loop and layer, one panel per strength; the caption has the controls."""
    rates = rates[rates["measure"] == measure].assign(rate=lambda rows: unknown_share(rows["n"], rows["unknown"]))
    cells = injected(rates)
    cells, left_out = on_a_page(cells.assign(x=loop_labels(cells), y=layer_labels(cells)))
    axes = rates_over(cells, "loop", "layer", _UNKNOWN)
    figure_of(axes).suptitle(f"{_UNKNOWN.capitalize()}: {MEASURE_LABELS.get(measure, measure)}")
    said = [f"n = {span_of(cells['n'] + cells['unknown'])} answers per cell"]
    for arm in ("none", "random"):
        control = rates[rates["arm"] == arm]
        if not control.empty:
            answers = (control["n"] + control["unknown"]).sum()
            said.append(f"{ARM_LABELS[arm]}{pooled(control)}: {control['unknown'].sum()} of {answers}")
    caption(axes, "; ".join(said) + left_out)
    return axes


def much_unknown(rates: pd.DataFrame) -> bool:
    """Tell whether in some cell more answers are unknown than can be passed over."""
    return bool((unknown_share(rates["n"], rates["unknown"]) > MUCH_UNKNOWN).any())


@matplotlib.rc_context(STYLE)
def extract_map(loops: pd.DataFrame) -> list[Axes]:
    """Draw the rate of detection over the loop of the injection and the loop that the vector is from."""
    cells = injected(loops)
    cells, left_out = on_a_page(cells.assign(x=loop_labels(cells), y=cells["extract_loop"].astype("str")))
    axes = rates_over(cells, "loop of the injection", "loop of the vector", "detected")
    caption(axes, f"over all layers; {_rate_caption(loops, cells)}{left_out}")
    return axes


def on_a_page(cells: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Keep the strongest doses whose maps over `x` and `y` a page holds; return what a caption says of the others."""
    strengths, size = sorted(cells["strength"].unique()), (cells["x"].nunique(), cells["y"].nunique())
    held = next((n for n in range(len(strengths), 1, -1) if held_by_a_page(n, *size, narrow=True)), 1)
    said = "" if held == len(strengths) else "; the strongest doses, all others are in the table"
    return cells[cells["strength"].isin(strengths[-held:])], said


def rates_over(cells: pd.DataFrame, across: str, up: str, measure: str) -> list[Axes]:
    """Draw rates over the columns `x` and `y`, one panel per strength."""
    xs, ys = labels_in_order(cells["x"]), labels_in_order(cells["y"])
    strengths = sorted(cells["strength"].unique())
    axes = map_panels(len(strengths), len(xs), len(ys), narrow=True)
    colours = ScalarMappable(Normalize(0, 1), colormaps["viridis"])
    for ax, strength in zip(axes, strengths, strict=True):
        draw_grid(ax, pivot(cells[cells["strength"] == strength], "rate", xs, ys), colours, "{:.2f}")
        ax.set(title=f"strength {strength:g}", xlabel=across, ylabel=up)
    finish(axes, colours, MEASURE_LABELS.get(measure, measure))
    return axes


@matplotlib.rc_context(STYLE)
def readout_map(readouts: pd.DataFrame) -> list[Axes]:
    """Draw the mean of logit(yes) - logit(no) over the loop of the injection and the loop after which it is read.

    One row of panels per strength, one panel per arm; the column `none`, repeated in each, has no injection.
    """
    cells = readouts.assign(x=loop_labels(readouts).fillna("none"), y=readouts["readout_loop"].astype("str"))
    controls, cells = cells[cells["arm"] == "none"], cells[cells["arm"] != "none"]
    cells = cells[cells["strength"].notna()]  # a concept in the text has no site
    controls = controls.drop_duplicates("y")  # a loop that is run does not know how many follow
    xs, ys = ["none"] * (not controls.empty) + labels_in_order(cells["x"]), labels_in_order(cells["y"])
    order, by_cell = arms_of(cells), dict(list(cells.groupby(["strength", "arm"])))
    places = [(strength, arm) for strength in sorted(cells["strength"].unique()) for arm in order]
    groups = [(place, by_cell[place]) for place in places if place in by_cell]
    groups, left_out = _arms_on_a_page(groups, (len(xs), len(ys)), len(order))
    axes = map_panels(len(groups), len(xs), len(ys), columns=cells["arm"].nunique())
    reach = reach_of(readouts["mean"])
    colours = ScalarMappable(Normalize(-reach, reach), colormaps["RdBu_r"])
    for ax, ((strength, arm), part) in zip(axes, groups, strict=True):
        draw_grid(ax, pivot(pd.concat([controls, part]), "mean", xs, ys), colours, signed_form(reach))
        if not controls.empty:
            ax.axvline(1, color="black", linewidth=1)
        ax.set(title=f"{ARM_LABELS[arm]},\nstrength {strength:g}", xlabel="loop of the injection")
        ax.set_ylabel("read out\nafter loop")
    finish(axes, colours, f"logit(yes) {MINUS} logit(no)")
    caption(axes, f"mean over concepts; n = {span_of(readouts['n'])} concepts per cell{left_out}")
    return axes


_Group = tuple[tuple[float, str], pd.DataFrame]


def _arms_on_a_page(groups: list[_Group], size: tuple[int, int], arms: int) -> tuple[list[_Group], str]:
    """Keep all panels that a page holds: of the strongest dose, and of that the first arms, where it must be fewer.

    Comes out with what a caption says of the others.
    """
    if held_by_a_page(len(groups), *size, columns=arms):
        return groups, ""
    strongest = [each for each in groups if each[0][0] == groups[-1][0][0]]
    held = next((n for n in range(len(strongest), 1, -1) if held_by_a_page(n, *size, columns=arms)), 1)
    shown = "the strongest dose" if held == len(strongest) else "the first arms at the strongest dose"
    return strongest[:held], f"; {shown}, all others are in the table"


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


def held_by_a_page(
    count: int, n_columns: int, n_rows: int, *, columns: int | None = None, narrow: bool = False
) -> bool:
    """Tell whether one page holds so many maps of so many cells, if they are low."""
    across = columns_of(count, _map_width(n_columns), columns, narrow=narrow)
    return math.ceil(count / across) * _map_height(n_rows, LOW_CELL_HEIGHT) <= HELD * PAGE_HEIGHT


def _rate_caption(rates: pd.DataFrame, cells: pd.DataFrame) -> str:
    said = [f"n = {span_of(cells['n'])} per cell"]
    for arm in ("none", *(arm for arm in ARM_LABELS if arm not in ("injected", "none"))):
        control = rates[rates["arm"] == arm]
        if not control.empty:
            said.append(f"{ARM_LABELS[arm]}{pooled(control)}: {control['k'].sum()} of {control['n'].sum()}")
    full = np.prod([cells[axis].nunique() for axis in ("x", "y", "strength")])
    if (cells["note"] == CANNOT_ANSWER).any():
        said.append("hatched: the model cannot answer such questions, see capability.csv")
    elif (cells["n"] == 0).any() or len(cells) < full:
        said.append(f"hatched: no graded answer ({NO_RATE}) or not run")
    return "; ".join(said)
