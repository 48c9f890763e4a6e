"""Heat maps: rates over loop and layer, and what is read out after each loop of what was injected in each.

In goes a tidy table, out come the axes, one per strength (and arm); one annotated cell per row.
"""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from introspect.results.figures.cell_labels import injected, labels_in_order, layer_labels, loop_labels
from introspect.results.figures.layout import caption, figure_of
from introspect.results.figures.map_grid import (
    MINUS,
    NO_RATE,
    draw_grid,
    finish,
    held_by_a_page,
    map_panels,
    pivot,
    reach_of,
    signed_form,
)
from introspect.results.figures.style import ARM_LABELS, MEASURE_LABELS, STYLE, arms_of, pooled, span_of
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.statistics.intervals import MUCH_UNKNOWN, unknown_share

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
