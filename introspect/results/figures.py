"""Figures of a run. In go tidy tables, out come axes; nothing is shown, no global style is set.

A new figure is a function from a table to its axes, and a line in FIGURES.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from introspect.results.effects import (
    agreement_points,
    capability_points,
    contrast_map,
    control_map,
    naming_by_loop,
    timing_by_loop,
)
from introspect.results.files import write_figure
from introspect.results.loop_axes import extract_map, loops_run
from introspect.results.maps import detection_map, identification_map, rate_map, readout_map
from introspect.results.panels import (
    ARM_LABELS,
    COLOURS,
    MEASURE_LABELS,
    STYLE,
    caption,
    figure_of,
    in_order,
    injected,
    label_outer,
    legend,
    loop_labels,
    panels,
    parts,
    points,
    span_of,
)
from introspect.results.statistics import wilson
from introspect.results.store import Store
from introspect.results.tables import summaries

MARKERS = "osD^vP*X"
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
    xs, strengths = in_order(loops["x"]), sorted(injected(loops)["strength"].unique())
    axes = panels(len(strengths), width=2.1, height=1.9)
    for ax, strength in zip(axes, strengths, strict=True):
        _none_band(ax, loops)
        at = loops[loops["strength"] == strength].assign(x=lambda rows: rows["x"].map(xs.index)).sort_values("x")
        _random_line(ax, at[at["arm"] == "random"])
        single = at["loop"].notna()  # a line that joined one loop to several at once would suggest an order
        for rows, style in ((at[single], "-"), (at[~single], "none")):
            look = {"color": COLOURS["injected"], "linestyle": style, "label": ARM_LABELS["injected"]}
            points(ax, injected(rows), marker="o", **look)
        ax.set_xticks(range(len(xs)), xs)
        ax.set(title=f"strength {strength:g}", xlabel="loop of the injection", xlim=(-0.4, len(xs) - 0.6))
        _rate_axis(ax, measure)
    label_outer(axes)
    legend(axes)
    caption(axes, f"bars and bands: Wilson 95% intervals; n = {span_of(injected(loops)['n'])} per point")
    return axes


@matplotlib.rc_context(STYLE)
def dose_response(loops: pd.DataFrame) -> list[Axes]:
    """Draw detection and identification against strength, a line per loop, with 95% intervals."""
    axes = panels(2, width=2.9, height=2.1)
    shown = injected(loops).assign(x=loop_labels(injected(loops)))
    names = in_order(shown["x"])
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(names)))
    for ax, measure in zip(axes, ("detected", "identified"), strict=True):
        _none_band(ax, loops[loops["measure"] == measure])
        _random_line(ax, _pooled_random(loops[loops["measure"] == measure]))
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
    caption(axes, f"controls pooled over loops; bars and bands: Wilson 95% intervals; {counts}")
    return axes


FIGURES: dict[str, tuple[str, Callable[[pd.DataFrame], list[Axes]]]] = {
    "detection_map": ("rates", detection_map),
    "identification_map": ("rates", identification_map),
    "detection_by_loop": ("loops", detection_by_loop),
    "identification_by_loop": ("loops", identification_by_loop),
    "dose_response": ("loops", dose_response),
    "correct_map": ("rates", partial(rate_map, measure="correct")),
    "correct_by_loop": ("loops", partial(rates_by_loop, measure="correct")),
    "readout_map": ("readouts", readout_map),
    "extract_map": ("loops", extract_map),
    "loops_run": ("loops", loops_run),
    "contrast_map": ("contrasts", contrast_map),
    "naming": ("naming", naming_by_loop),
    "timing": ("timing", timing_by_loop),
    "control_map": ("control", control_map),
    "agreement": ("agreement", agreement_points),
    "capability": ("capability", capability_points),
}
"""Of each figure: the table it is drawn from, and the function that draws it."""


MEASURES_OF = {
    **dict.fromkeys(("detection_map", "detection_by_loop", "extract_map", "loops_run"), ("detected",)),
    **dict.fromkeys(("identification_map", "identification_by_loop"), ("identified",)),
    **dict.fromkeys(("correct_map", "correct_by_loop"), ("correct",)),
    "dose_response": ("detected", "identified"),
}
"""The measures of a figure, without which it is not drawn."""
WHOLE = {"agreement", "capability"}
"""Figures that show all graders and settings at once."""
SHOWN_TOGETHER = {"timing": ["grader"], "extract_map": ["extract_loop"], "loops_run": ["n_loops"]}
"""Factors that vary within a figure."""
NEEDS_SEVERAL = {"extract_map": "extract_loop", "loops_run": "n_loops"}
"""What must vary for a figure to be drawn."""


def draw_all(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Draw every figure that the tables give, several where a factor such as the template varies."""
    figures = {}
    for name, (table, draw) in FIGURES.items():
        shown = _shown(tables.get(table, pd.DataFrame()), name)
        for label, part in _parts(shown, name):
            if not _there(part, name):
                continue
            figure = figure_of(draw(part))
            if label:
                title = f"{figure.get_suptitle()}\n{label}".strip()
                figure.suptitle(title, fontsize=STYLE["font.size"], x=0.02, ha="left")
            figures["_".join([name, *re.sub(r"[^\w.=-]+", "-", label).split()])] = figure
    return figures


def _remove_others(folder: Path, figures: Mapping[str, Figure]) -> None:
    """Remove figures that an earlier state of the run had and this one has not."""
    for path in folder.glob("*"):
        ours = path.stem in FIGURES or any(path.stem.startswith(f"{name}_") and "=" in path.stem for name in FIGURES)
        if ours and path.stem not in figures:
            path.unlink()


def _shown(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Leave the rows that a figure is about: those of its measures."""
    measures = MEASURES_OF.get(name)
    return table if measures is None or table.empty else table[table["measure"].isin(measures)]


def _parts(shown: pd.DataFrame, name: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Split what a figure shows by what varies in it, unless it shows just that."""
    if shown.empty:
        return
    if name in WHOLE:
        yield "", shown
        return
    yield from parts(shown, SHOWN_TOGETHER.get(name, ()))


def _there(part: pd.DataFrame, name: str) -> bool:
    """Tell whether there is anything to draw: something injected, and for views along an axis more than one value."""
    if "arm" in part and injected(part).empty:
        return False
    axis = NEEDS_SEVERAL.get(name)
    return axis is None or (axis in part and injected(part)[axis].nunique() > 1)


def write_figures(store: Store, tables: Mapping[str, pd.DataFrame] | None = None) -> list[Path]:
    """Draw the figures of a run and write each as PNG and PDF into its folder `figures`; `tables`, if already made."""
    figures = draw_all(summaries(store) if tables is None else tables)
    _remove_others(store.folder / "figures", figures)
    return [path for name, figure in figures.items() for path in write_figure(store.folder, name, figure)]


def _random_line(ax: Axes, line: pd.DataFrame) -> None:
    line = line.dropna(subset="rate")
    if line.empty:
        return
    x = line["x"].astype(float)
    ax.plot(x, line["rate"], color=COLOURS["random"], linestyle="--", marker="s", label=ARM_LABELS["random"])
    ax.fill_between(x, line["low"], line["high"], color=COLOURS["random"], alpha=0.2, linewidth=0)


def _pooled_random(rows: pd.DataFrame) -> pd.DataFrame:
    """Sum the random arm over loops, with the interval of the sum."""
    pooled = rows[rows["arm"] == "random"].groupby("strength", as_index=False)[["k", "n"]].sum()
    pooled = pooled[pooled["n"] > 0]
    low, high = wilson(pooled["k"], pooled["n"])
    return pooled.assign(x=pooled["strength"], rate=pooled["k"] / pooled["n"], low=low, high=high)


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
