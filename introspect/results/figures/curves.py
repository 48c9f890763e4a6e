"""Curves: rates by loop beside their controls, against strength, and against the loops run.

In goes the table of rates per loop, out come the axes.
"""

from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from introspect.results.figures.panels import (
    ARM_LABELS,
    ARM_MARKERS,
    COLOURS,
    MEASURE_LABELS,
    STYLE,
    caption,
    injected,
    label_outer,
    labels_in_order,
    legend,
    loop_labels,
    panels,
    points,
    span_of,
)
from introspect.results.statistics import wilson

MARKERS = "osD^vP*X"
CONTROL_LINES = tuple(arm for arm in ARM_LABELS if arm not in ("injected", "none", "text"))
"""Arms that are drawn as lines beside the concept's vector, in this order in every figure."""
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
    """Draw one measure by loop with 95% intervals, the controls as lines with shaded intervals."""
    loops = loops[loops["measure"] == measure]
    loops = loops.assign(x=loop_labels(loops))
    xs, strengths = labels_in_order(loops["x"]), sorted(injected(loops)["strength"].unique())
    axes = panels(len(strengths), width=2.1, height=1.9)
    for ax, strength in zip(axes, strengths, strict=True):
        _none_band(ax, loops)
        at = loops[loops["strength"] == strength].assign(x=lambda rows: rows["x"].map(xs.index)).sort_values("x")
        for arm in CONTROL_LINES:
            _control_line(ax, at[at["arm"] == arm], arm)
        single = at["loop"].notna()  # a line that joined one loop to several at once would suggest an order
        for rows, style in ((at[single], "-"), (at[~single], "none")):
            look = {"color": COLOURS["injected"], "linestyle": style, "label": ARM_LABELS["injected"]}
            points(ax, injected(rows), marker=ARM_MARKERS["injected"], **look)
        ax.set_xticks(range(len(xs)), xs)
        ax.set(title=f"strength {strength:g}", xlabel="loop of the injection", xlim=(-0.4, len(xs) - 0.6))
        _rate_axis(ax, measure)
    label_outer(axes)
    legend(axes)
    caption(
        axes,
        f"over all layers; bars and bands: 95% intervals over concepts; n = {span_of(injected(loops)['n'])} per point",
    )
    return axes


@matplotlib.rc_context(STYLE)
def dose_response(loops: pd.DataFrame) -> list[Axes]:
    """Draw detection and identification against strength, a line per loop, with 95% intervals."""
    axes = panels(2, width=2.9, height=2.1)
    shown = injected(loops).assign(x=loop_labels(injected(loops)))
    names = labels_in_order(shown["x"])
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(names)))
    for ax, measure in zip(axes, ("detected", "identified"), strict=True):
        _none_band(ax, loops[loops["measure"] == measure])
        _control_line(ax, _pooled_random(loops[loops["measure"] == measure]), "random")
        place = _strength_axis(ax, shown["strength"])
        for rank, name in enumerate(names):
            line = shown[(shown["measure"] == measure) & (shown["x"] == name)].sort_values("strength")
            line = line.assign(x=place(line["strength"], rank - (len(names) - 1) / 2))
            points(ax, line, color=shades[rank], marker=MARKERS[rank % len(MARKERS)], label=f"loop {name}")
        ax.set(title=MEASURE_LABELS[measure], xlabel="strength")
        _rate_axis(ax, measure)
        ax.set_ylabel("rate")
    label_outer(axes)
    legend(axes)
    counts = f"n = {span_of(shown['n'])} per point"
    caption(axes, f"over all layers, controls also over loops; bars and bands: 95% intervals over concepts; {counts}")
    return axes


@matplotlib.rc_context(STYLE)
def loops_run(loops: pd.DataFrame) -> list[Axes]:
    """Draw the rate of detection against the number of loops run, a line per loop of the injection."""
    cells = injected(loops)
    cells = cells.assign(x=loop_labels(cells))
    strengths, names = sorted(cells["strength"].unique()), labels_in_order(cells["x"])
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
    caption(axes, f"over all layers; bars: 95% intervals over concepts; n = {span_of(cells['n'])} per point")
    return axes


def _control_line(ax: Axes, line: pd.DataFrame, arm: str) -> None:
    line = line.dropna(subset="rate")
    if line.empty:
        return
    x, look = line["x"].astype(float), {"color": COLOURS[arm]}
    ax.plot(x, line["rate"], linestyle="--", marker=ARM_MARKERS[arm], label=ARM_LABELS[arm], **look)  # type: ignore[arg-type]
    ax.fill_between(x, line["low"], line["high"], alpha=0.2, linewidth=0, **look)  # type: ignore[arg-type]


def _pooled_random(rows: pd.DataFrame) -> pd.DataFrame:
    """Sum the random arm over loops, with the interval of the sum."""
    random = rows[(rows["arm"] == "random") & (rows["n"] > 0)]
    random = random.assign(error=random["n"] / np.sqrt(random["independent"]))
    pooled = random.groupby("strength", as_index=False).agg({"k": "sum", "n": "sum", "error": "sum", "concepts": "max"})
    # errors of loops are added, not their squares: the loops share their concepts, in whatever way
    independent, rate = (pooled["n"] / pooled["error"]) ** 2, pooled["k"] / pooled["n"]
    low, high = wilson(rate * independent, independent, freedom=np.maximum(pooled["concepts"] - 1, 1))
    return pooled.assign(x=pooled["strength"], rate=rate, low=low, high=high)


def _none_band(ax: Axes, rows: pd.DataFrame) -> None:
    for _, row in rows[rows["arm"] == "none"].dropna(subset="rate").iterrows():
        ax.axhspan(row["low"], row["high"], color=COLOURS["none"], alpha=0.2, linewidth=0)
        ax.axhline(row["rate"], color=COLOURS["none"], linestyle=":", label=ARM_LABELS["none"])


def _rate_axis(ax: Axes, measure: str) -> None:
    ax.set(ylim=(-0.02, 1.02), yticks=np.linspace(0, 1, 6), ylabel=MEASURE_LABELS.get(measure, measure))


def _strength_axis(ax: Axes, strengths: pd.Series) -> Callable[[pd.Series, float], pd.Series]:
    """Set the ticks to the strengths; give where to draw a strength so that lines do not hide each other's bars."""
    ticks = sorted(strengths.unique())
    if ticks[0] > 0 and ticks[-1] >= LOG_FROM * ticks[0]:
        ax.set_xscale("log", base=2)
        place = lambda values, shift: values * 1.025**shift  # noqa: E731
    else:
        step = 0.012 * (ticks[-1] - ticks[0]) or 0.1
        place = lambda values, shift: values + step * shift  # noqa: E731
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    if len(ticks) == 1:
        ax.set_xlim(ticks[0] - 1, ticks[0] + 1)
    return place
