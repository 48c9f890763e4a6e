"""Figures of the monitors: curves over the loops run, the gap, probes at each site, transfer across loops.

In go the tables, out come the axes.
"""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from introspect.analyses.monitor.curves import MONITORS, SCORE_MEASURES
from introspect.analyses.monitor.refits import OF_REFITS, ONE_FIT
from introspect.results.figures.layout import caption, legend
from introspect.results.figures.map_grid import draw_grid, finish, held_by_a_page, map_panels, pivot
from introspect.results.figures.panels import even_ticks, label_outer, panels, points
from introspect.results.figures.style import MARKERS, STYLE, span_of

_LOOKS = {
    **{"task": ("#555555", "s", "-"), "task-words": ("#555555", "^", ":")},
    **{"language": ("#D55E00", "o", "-"), "language-words": ("#E69F00", "P", ":")},
    "language-fitted": ("#CC79A7", "v", "-"),
    **{"representation": ("#0072B2", "D", "-"), "shuffled": ("#56B4E9", "x", "--")},
}
"""Colour, marker and line of each monitor."""
_NAMES = {"accuracy": "accuracy", "f1": "F1"}
_LOSSES = (("nats", "", "loss"), ("more", "more_", "loss above that of the fewest loops"))
"""Columns of the values, prefixes of their bounds, and titles."""
_INTERVALS = "F1: right answers are the positive class; bars: 95% intervals"

_MAPPED = f"tested on questions it was not fitted on, in one split (in the table, {ONE_FIT})"


@matplotlib.rc_context(STYLE)
def monitors_by_loops(curves: pd.DataFrame, trained: int) -> list[Axes]:
    """Draw accuracy and F1 of all monitors against the loops run, a row of panels per task."""
    tasks = list(dict.fromkeys(curves["task"]))
    axes, totals = panels(2 * len(tasks), width=2.55, height=2.0, columns=2), sorted(curves["loops"].unique())
    for ax, (task, measure) in zip(axes, [(task, each) for task in tasks for each in SCORE_MEASURES], strict=True):
        cells = curves[(curves["task"] == task) & (curves["measure"] == measure)]
        for rank, (monitor, (colour, marker, style)) in enumerate(_LOOKS.items()):
            line = _points(cells[cells["monitor"] == monitor], totals)
            look = {"color": colour, "marker": marker, "linestyle": style, "label": MONITORS[monitor]}
            points(ax, line, place=rank, of=len(_LOOKS), slots=len(totals), **look)
        always = cells[cells["monitor"] == "constant"]
        if not always.empty:
            ax.axhline(always["value"].iloc[0], color="black", linewidth=0.8, label=MONITORS["constant"])
        _loops_axis(ax, totals, trained)
        ax.set(title=f"{task}: {_NAMES[measure]}", ylim=(-0.03, 1.03), ylabel="share or F1")
    label_outer(axes)
    legend(axes)
    judged = curves[curves["monitor"] == "language"]
    asked = curves[curves["monitor"] == "task"]
    counts = f"n = {span_of(judged['n'])} answers judged, {span_of(asked['n'])} questions asked"
    more = "dotted vertical: loops as trained; probe: layer chosen within the training folds; shuffled: range of deals"
    over = f"over questions (bootstrap; probe and fitted threshold: {OF_REFITS})"
    caption(axes, f"{_INTERVALS} {over}; {counts}; {more}")
    return axes


@matplotlib.rc_context(STYLE)
def loss_by_loops(table: pd.DataFrame, trained: int, of: str) -> list[Axes]:
    """Draw the language-model loss against the loops run, and how far each is above that of the fewest."""
    axes, totals = panels(2, width=2.4, height=2.0, same_scale=False), sorted(table["loops"])
    for ax, (value, prefix, title) in zip(axes, _LOSSES, strict=True):
        bounds = {"low": table[f"{prefix}low"], "high": table[f"{prefix}high"]}
        line = _points(table.assign(value=table[value], **bounds), totals)
        points(ax, line, color="#0072B2", marker="o")
        _loops_axis(ax, totals, trained)
        ax.set(title=title, ylabel="nats per token")
    axes[1].axhline(0, color="black", linewidth=0.8)
    label_outer(axes, same_scale=False)
    counts = f"n = {table['texts'].iloc[0]} texts, {table['tokens'].iloc[0]} tokens, of {of}"
    said = "mean negative log-likelihood; bars: 95% intervals over texts (bootstrap)"
    caption(axes, f"{said}; {counts}; dotted: loops as trained")
    return axes


@matplotlib.rc_context(STYLE)
def gap_by_loops(gap: pd.DataFrame, trained: int) -> list[Axes]:
    """Draw the representation monitor less the language monitor against the loops run, a line per task."""
    axes, totals = panels(len(SCORE_MEASURES), width=2.4, height=2.0), sorted(gap["loops"].unique())
    tasks = list(dict.fromkeys(gap["task"]))
    shades = colormaps["viridis"](np.linspace(0, 0.8, len(tasks)))
    for ax, measure in zip(axes, SCORE_MEASURES, strict=True):
        cells = gap[gap["measure"] == measure]
        for rank, (task, shade) in enumerate(zip(tasks, shades, strict=True)):
            line = _points(cells[cells["task"] == task], totals)
            look = {"color": shade, "marker": MARKERS[rank % len(MARKERS)], "label": task}
            points(ax, line, place=rank, of=len(tasks), slots=len(totals), **look)
        ax.axhline(0, color="black", linewidth=0.8)
        _loops_axis(ax, totals, trained)
        ax.set(title=_NAMES[measure], ylabel="representation\nless language")
    label_outer(axes)
    legend(axes)
    over = f"of paired differences, {OF_REFITS}; n = {span_of(gap['n'])} answers"
    caption(axes, f"{_INTERVALS} {over}; dotted: loops as trained")
    return axes


@matplotlib.rc_context(STYLE)
def probes_by_site(sites: pd.DataFrame) -> list[Axes]:
    """Draw the accuracy of the probe at each (loop, layer), with that of shuffled labels beside it, per task."""
    cells = sites[sites["measure"] == "accuracy"]
    cells = cells.assign(x=cells["loop"].astype("str"), y=cells["layer"].astype("str"))
    xs, ys = (sorted(cells[axis].unique(), key=int) for axis in ("x", "y"))
    groups, left_out = list(cells.groupby(["task", "labels"], sort=False)), ""
    if not held_by_a_page(len(groups), len(xs), len(ys), columns=2):
        groups = [(place, part) for place, part in groups if place[1] == "true"]
        left_out = "; those of shuffled labels are in the table"
    axes = map_panels(len(groups), len(xs), len(ys), columns=2)
    colours = ScalarMappable(Normalize(0, 1), colormaps["viridis"])
    for ax, ((task, labels), part) in zip(axes, groups, strict=True):
        draw_grid(ax, pivot(part, "value", xs, ys), colours, "{:.2f}")
        ax.set(title=f"{task}, {labels} labels", xlabel="loop", ylabel="layer")
    finish(axes, colours, "accuracy of the probe")
    caption(axes, f"{_MAPPED}; n = {span_of(cells['n'])} answers per cell{left_out}")
    return axes


@matplotlib.rc_context(STYLE)
def transfer_across_loops(transfer: pd.DataFrame) -> list[Axes]:
    """Draw the accuracy of probes fitted after one loop and tested after another, at the last layer, per task."""
    cells = transfer[transfer["layer"] == transfer["layer"].max()]
    cells = cells.assign(x=cells["tested_loop"].astype("str"), y=cells["trained_loop"].astype("str"))
    groups = list(cells.groupby("task", sort=False))
    xs = sorted(cells["x"].unique(), key=int)
    axes = map_panels(len(groups), len(xs), len(xs))
    colours = ScalarMappable(Normalize(0, 1), colormaps["viridis"])
    for ax, (task, part) in zip(axes, groups, strict=True):
        draw_grid(ax, pivot(part, "value", xs, xs), colours, "{:.2f}")
        ax.set(title=f"{task}, layer {cells['layer'].max()}", xlabel="tested after loop", ylabel="fitted after loop")
    finish(axes, colours, "accuracy of the probe")
    caption(axes, f"{_MAPPED}; n = {span_of(cells['n'])} answers per cell")
    return axes


def _points(line: pd.DataFrame, totals: list[int]) -> pd.DataFrame:
    """Return a line for `points`; a value without an interval is drawn without a bar."""
    bounds = {name: line[name].fillna(line["value"]) for name in ("low", "high")}
    return line.assign(x=line["loops"].map(totals.index), rate=line["value"], **bounds)


def _loops_axis(ax: Axes, totals: list[int], trained: int) -> None:
    even_ticks(ax, totals, "loops run")
    if totals[0] <= trained <= totals[-1]:
        place = np.interp(trained, totals, range(len(totals)))
        ax.axvline(float(place), color="#999999", linestyle=":", linewidth=0.8, zorder=0)
