"""Curves: rates by loop beside their controls, against strength, and against the loops run.

In goes the table of rates per loop, out come the axes.
"""

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from introspect.results.figures.cell_labels import injected, labels_in_order, loop_labels
from introspect.results.figures.layout import caption, legend
from introspect.results.figures.panels import even_ticks, label_outer, panels, points
from introspect.results.figures.style import (
    ARM_LABELS,
    COLOURS,
    MARKERS,
    MEASURE_LABELS,
    STYLE,
    arm_look,
    arms_of,
    span_of,
    strength_label,
)
from introspect.results.statistics import wilson

DOSE_CONTROLS = ("random", "in-span", "swap", "wrong")
"""Arms that stand beside the concept's vector in the figure of doses."""
RUN_CONTROLS = ("none", "random")
"""Arms that stand beside it in the figure of the loops run."""
SITELESS_LINES = {"none": ":", "text": "-."}
"""Lines of the arms that have no site."""
LOG_FROM = 8
"""Strengths that span at least this ratio are drawn on a logarithmic axis."""


def detection_by_loop(loops: pd.DataFrame) -> list[Axes]:
    """Draw the rate of detection by loop beside its controls, one panel per strength."""
    return rates_by_loop(loops, "detected")


def identification_by_loop(loops: pd.DataFrame) -> list[Axes]:
    """Draw the rate of identification by loop beside its controls, one panel per strength."""
    return rates_by_loop(loops, "identified")


@matplotlib.rc_context(STYLE)
def rates_by_loop(loops: pd.DataFrame, measure: str) -> list[Axes]:
    """Draw one measure by loop, the arms side by side with 95% intervals, what has no injection as a band."""
    loops = loops[loops["measure"] == measure]
    loops = loops.assign(x=loop_labels(loops))
    xs, strengths = labels_in_order(loops["x"]), sorted(injected(loops)["strength"].unique())
    axes, arms = panels(len(strengths), width=2.1, height=1.7), arms_of(loops[loops["strength"].notna()])
    for ax, strength in zip(axes, strengths, strict=True):
        bands(ax, loops)
        at = loops[loops["strength"] == strength].assign(x=lambda rows: rows["x"].map(xs.index)).sort_values("x")
        for place, arm in enumerate(arms):
            rows, beside = at[at["arm"] == arm], {"place": place, "of": len(arms), "slots": len(xs)}
            single = rows["loop"].notna()  # a line that joined one loop to several at once would suggest an order
            points(ax, rows[single], **beside, **arm_look(arm))
            points(ax, rows[~single], **beside, **(arm_look(arm) | {"linestyle": "none"}))
        even_ticks(ax, xs, "loop of the injection")
        ax.set_title(f"strength {strength:g}")
        _rate_axis(ax, measure)
    label_outer(axes)
    legend(axes)
    said = "over all layers; bars and bands: 95% intervals over concepts"
    caption(axes, f"{said}; n = {span_of(injected(loops)['n'])} per point of {ARM_LABELS['injected']}")
    return axes


@matplotlib.rc_context(STYLE)
def dose_response(loops: pd.DataFrame) -> list[Axes]:
    """Draw detection and identification against strength, a line per loop and one per control, with 95% intervals."""
    axes = panels(2, width=2.3, height=2.0)
    shown = injected(loops).assign(x=loop_labels(injected(loops)))
    names = labels_in_order(shown["x"])
    arms = [arm for arm in arms_of(loops[loops["strength"].notna()]) if arm in DOSE_CONTROLS]
    shades, of = colormaps["viridis"](np.linspace(0, 0.85, len(names))), len(names) + len(arms)
    for ax, measure in zip(axes, ("detected", "identified"), strict=True):
        rows = loops[loops["measure"] == measure]
        bands(ax, rows)
        slots = _strength_axis(ax, pd.concat([shown["strength"], rows.loc[rows["arm"].isin(arms), "strength"]]))
        for place, arm in enumerate(arms):
            points(ax, _over_loops(rows[rows["arm"] == arm]), place=place, of=of, slots=slots, **arm_look(arm))
        for rank, name in enumerate(names):
            line = shown[(shown["measure"] == measure) & (shown["x"] == name)].sort_values("strength")
            look = {"color": shades[rank], "marker": MARKERS[rank % len(MARKERS)], "label": f"loop {name}"}
            points(ax, line.assign(x=line["strength"]), place=len(arms) + rank, of=of, slots=slots, **look)
        ax.set(title=MEASURE_LABELS[measure], xlabel=strength_label())
        _rate_axis(ax, measure)
        ax.set_ylabel("rate")
    label_outer(axes)
    legend(axes)
    counts = f"n = {span_of(shown['n'])} per point of a loop"
    caption(axes, f"over all layers, controls also over loops; bars and bands: 95% intervals over concepts; {counts}")
    return axes


@matplotlib.rc_context(STYLE)
def loops_run(loops: pd.DataFrame) -> list[Axes]:
    """Draw the rate of detection against the number of loops run, a line per loop of the injection and per control."""
    loops = loops.assign(x=loop_labels(loops))
    cells = injected(loops)
    strengths, names, totals = (
        sorted(cells["strength"].unique()),
        labels_in_order(cells["x"]),
        sorted(cells["n_loops"].unique()),
    )
    axes = panels(len(strengths), width=2.1, height=1.7)
    for ax, strength in zip(axes, strengths, strict=True):
        lines = list(_lines_of_loops_run(loops[loops["strength"].isna() | (loops["strength"] == strength)], names))
        for place, (line, look) in enumerate(lines):
            line = line.assign(x=line["n_loops"].map(totals.index)).sort_values("x")
            points(ax, line, place=place, of=len(lines), slots=len(totals), **look)
        even_ticks(ax, totals, "loops run")
        ax.set_title(f"strength {strength:g}")
        _rate_axis(ax, "detected")
    label_outer(axes)
    legend(axes)
    counts = f"n = {span_of(cells['n'])} per point of a loop"
    caption(axes, f"over all layers, controls also over loops; bars: 95% intervals over concepts; {counts}")
    return axes


def _lines_of_loops_run(rows: pd.DataFrame, names: list[str]) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """Yield the points of each control and of each loop of the injection, with how they are drawn."""
    for arm in arms_of(rows):
        if arm in RUN_CONTROLS:
            line = {"linestyle": SITELESS_LINES[arm]} if arm in SITELESS_LINES else {}
            yield _over_loops(rows[rows["arm"] == arm], "n_loops"), arm_look(arm) | line
    cells, shades = injected(rows), colormaps["viridis"](np.linspace(0, 0.85, len(names)))
    for rank, (name, shade) in enumerate(zip(names, shades, strict=True)):
        look = {"color": shade, "marker": MARKERS[rank % len(MARKERS)], "label": f"injected in loop {name}"}
        yield cells[cells["x"] == name], look


def _over_loops(rows: pd.DataFrame, by: str = "strength") -> pd.DataFrame:
    """Sum an arm over loops for each value of a column, with the interval of the sum."""
    rows = rows[rows["n"] > 0]
    rows = rows.assign(error=rows["n"] / np.sqrt(rows["independent"]))
    pooled = rows.groupby(by, as_index=False).agg({"k": "sum", "n": "sum", "error": "sum", "concepts": "max"})
    # errors of loops are added, not their squares: the loops share their concepts, in whatever way
    independent, rate = (pooled["n"] / pooled["error"]) ** 2, pooled["k"] / pooled["n"]
    low, high = wilson(rate * independent, independent, freedom=np.maximum(pooled["concepts"] - 1, 1))
    return pooled.assign(x=pooled[by], rate=rate, low=low, high=high)


def bands(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the arms that have no site as lines with bands: no injection, and the concept in the text."""
    for _, row in rows[rows["strength"].isna()].dropna(subset="rate").iterrows():
        style = SITELESS_LINES[row["arm"]]
        ax.axhspan(row["low"], row["high"], color=COLOURS[row["arm"]], alpha=0.15, linewidth=0)
        for edge in (row["low"], row["high"]):  # a band that lies within another is still seen
            ax.axhline(edge, color=COLOURS[row["arm"]], linestyle=style, linewidth=0.5)
        ax.axhline(row["rate"], color=COLOURS[row["arm"]], linestyle=style, label=ARM_LABELS[row["arm"]])


def _rate_axis(ax: Axes, measure: str) -> None:
    ax.set(ylim=(-0.02, 1.02), yticks=np.linspace(0, 1, 6), ylabel=MEASURE_LABELS.get(measure, measure))


def _strength_axis(ax: Axes, strengths: pd.Series) -> int:
    """Set the ticks to the strengths; return how many marks the narrowest gap between them leaves room for."""
    ticks = sorted(strengths.unique())
    places = ticks
    if ticks[0] > 0 and ticks[-1] >= LOG_FROM * ticks[0]:
        ax.set_xscale("log", base=2)
        places = np.log2(ticks).tolist()
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    if len(ticks) == 1:
        ax.set_xlim(ticks[0] - 1, ticks[0] + 1)
        return 1
    ax.margins(x=0.12)
    return int(np.ceil(1.3 * (places[-1] - places[0]) / np.diff(places).min()))
