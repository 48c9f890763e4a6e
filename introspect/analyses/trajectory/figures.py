"""Figures of differences between trials and their controls: geometry, what lenses read, what the cache holds.

Takes tidy tables. Returns the axes; one panel per injected site, at most MOST_SITES of them, half in one column.
"""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from introspect.results.figures.cell_labels import spread_of
from introspect.results.figures.layout import PAGE_WIDTH, caption, legend, room
from introspect.results.figures.panels import label_outer, panels
from introspect.results.figures.style import ARM_LABELS, ARM_MARKERS, COLOURS, MARKERS, STYLE, arms_of, span_of

MOST_SITES, MOST_TICKS = 4, 5
AXIS_UNITS = {
    "salience": "step length",
    "curvature": "curvature",
    "area": "semantic surface area",
}
METRIC_LABELS = {"unembedding": "in the metric of the unembedding", "raw": "in the raw metric"}


@matplotlib.rc_context(STYLE)
def differences_by_layer(table: pd.DataFrame, quantity: str, metric: str, strength: float) -> list[Axes]:
    """Draw one quantity's difference from the control over the layers, a line per loop; a row of panels per arm."""
    rows = table[(table["quantity"] == quantity) & (table["metric"] == metric) & (table["stage"] == "core")]
    rows = rows[rows["strength"] == strength]
    sites, arms = shown_sites(rows), arms_of(rows)
    axes = panels(len(arms) * len(sites), width=6.0 / len(sites), height=1.5, columns=len(sites))
    shades = loop_shades(int(rows["loop"].max()) + 1)
    for ax, (arm, site) in zip(axes, [(arm, site) for arm in arms for site in sites], strict=True):
        part = rows[(rows["arm"] == arm) & (rows["sites"] == site)]
        ax.axhline(0, color="#999999", linewidth=0.6)
        for loop, line in part.groupby("loop"):
            place = int(str(loop))
            _banded(ax, line["layer"], line, shades[place], f"loop {loop}", marker=MARKERS[place % len(MARKERS)])
        _mark(ax, part, site)
        ax.set_xticks(sorted(part["layer"].unique()))
        ax.set(
            title=f"{ARM_LABELS[arm]},\nat {site}",
            xlabel="layer",
            ylabel=f"{AXIS_UNITS[quantity]},\ntrial \N{MINUS SIGN} control",
        )
    label_outer(axes)
    legend(axes)
    said = f"difference in {AXIS_UNITS[quantity]} {METRIC_LABELS[metric]} between a trial and its control; strength"
    said += f" {strength:g}; bands: 95% t intervals over n = {span_of(rows['n'])} concepts; star: injected"
    caption(axes, f"{said}; {_sites_said(rows)}")
    return axes


@matplotlib.rc_context(STYLE)
def readable_by_site(table: pd.DataFrame, strength: float) -> list[Axes]:
    """Draw the share of readable concepts along the path, a line per arm; a row of panels per lens."""
    rows = table[table["strength"] == strength]
    sites, lenses = shown_sites(rows), list(dict.fromkeys(rows["lens"]))
    axes = panels(len(lenses) * len(sites), width=6.0 / len(sites), height=1.5, columns=len(sites))
    for ax, (lens, site) in zip(axes, [(lens, site) for lens in lenses for site in sites], strict=True):
        part = rows[(rows["lens"] == lens) & (rows["sites"] == site)]
        for arm in (arm for arm in ARM_LABELS if (part["arm"] == arm).any()):
            line, look = part[part["arm"] == arm], {"colour": COLOURS[arm], "label": ARM_LABELS[arm]}
            _banded(ax, np.arange(len(line)), line, **look, centre="rate", marker=ARM_MARKERS[arm])
        _along(ax, part, site)
        ax.set(title=f"{lens} lens, at {site}", ylim=(-0.03, 1.03), ylabel="share readable")
    label_outer(axes)
    legend(axes)
    said = "share of concepts within rank 10 in the trial and not in its control; bands: Wilson 95% intervals,"
    caption(
        axes,
        f"{said} n = {span_of(rows['n'])} concepts; strength {strength:g}; line: injected site; {_sites_said(rows)}",
    )
    return axes


@matplotlib.rc_context(STYLE)
def answers_by_site(table: pd.DataFrame, strength: float) -> list[Axes]:
    """Draw how the probability of yes, no and the concept differs from the control along the path, by arm."""
    rows = table[(table["strength"] == strength) & (table["lens"] == "logit")]
    sites, arms = shown_sites(rows), arms_of(rows)
    axes = panels(len(arms) * len(sites), width=6.0 / len(sites), height=1.5, columns=len(sites))
    shades = {"yes": "#009E73", "no": "#D55E00", "concept": "#0072B2"}
    for ax, (arm, site) in zip(axes, [(arm, site) for arm in arms for site in sites], strict=True):
        part = rows[(rows["arm"] == arm) & (rows["sites"] == site)]
        ax.axhline(0, color="#999999", linewidth=0.6)
        for (word, shade), marker in zip(shades.items(), MARKERS, strict=False):
            line = part[part["word"] == word]
            _banded(ax, np.arange(len(line)), line, shade, word if word != "concept" else "the concept", marker=marker)
        _along(ax, part[part["word"] == "yes"], site)
        ax.set(title=f"{ARM_LABELS[arm]},\nat {site}", ylabel="difference in probability")
    label_outer(axes)
    legend(axes)
    said = "probability by the logit lens, trial less control; bands: 95% t intervals over"
    caption(
        axes,
        f"{said} n = {span_of(rows['n'])} concepts; strength {strength:g}; line: injected site; {_sites_said(rows)}",
    )
    return axes


@matplotlib.rc_context(STYLE)
def memory_by_site(table: pd.DataFrame) -> list[Axes]:
    """Draw how often a probe of keys and values names the concept, along the sites, beside shuffled names."""
    sites = shown_sites(table)
    axes = panels(len(sites), width=6.0 / len(sites), height=1.7)
    for ax, site in zip(axes, sites, strict=True):
        part = table[table["sites"] == site]
        x = np.arange(len(part))
        _banded(ax, x, part, COLOURS["injected"], "probe", centre="rate")
        ax.plot(x, part["shuffled"], color=COLOURS["none"], linestyle="--", label="shuffled names")
        ax.plot(x, part["chance"], color="black", linestyle=":", linewidth=0.8, label="chance")
        _along(ax, part, site)
        ax.set(title=f"injected at {site}", ylim=(-0.03, 1.03), ylabel="concept named")
    label_outer(axes)
    legend(axes)
    said = "keys and values of the injected span, protocol prior; trained at other strengths and wordings than tested;"
    said += f" bands: Wilson 95% intervals, n = {span_of(table['n'])} concepts; line: injected site"
    caption(axes, f"{said}; {_sites_said(table)}")
    return axes


def shown_sites(rows: pd.DataFrame) -> list[str]:
    """Choose the injected sites that get panels, evenly from the first to the last: as many as the page takes."""
    return spread_of(_sites_of(rows), MOST_SITES if (room() or PAGE_WIDTH) >= PAGE_WIDTH else MOST_SITES // 2)


def _sites_of(rows: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(rows["sites"].dropna()))


def _sites_said(rows: pd.DataFrame) -> str:
    """Say how sites are written, and of how many those are that have panels."""
    shown, of = len(shown_sites(rows)), len(_sites_of(rows))
    return f"sites as loop:layer{f', {shown} of {of}' if shown < of else ''}"


def loop_shades(count: int) -> list[tuple[float, float, float, float]]:
    """Return a colour for each loop."""
    return [colormaps["viridis"](value) for value in np.linspace(0, 0.85, count)]


def _banded(
    ax: Axes, x: Any, line: pd.DataFrame, colour: Any, label: str, centre: str = "mean", marker: str = "o"
) -> None:
    x = np.asarray(x, dtype=float)
    mean, low, high = (line[name].to_numpy(float) for name in (centre, "low", "high"))
    ax.plot(x, mean, color=colour, marker=marker, markersize=2.5, label=label)
    ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def _mark(ax: Axes, part: pd.DataFrame, sites: str) -> None:
    """Put a star where the injection is."""
    there = part[part["site"].isin(sites.split(","))]
    ax.plot(there["layer"], there["mean"], "*", color="black", markersize=7, linestyle="none", zorder=4)


def _along(ax: Axes, part: pd.DataFrame, sites: str) -> None:
    """Label the sites of the path where a loop begins, and draw a line where the injection is."""
    part = part.drop_duplicates("site").reset_index(drop=True)
    begins = part[(part["layer"] == 0) & (part["stage"] == "core")]
    begins = begins.iloc[:: -(-len(begins) // MOST_TICKS)]
    ax.set_xticks(begins.index, begins["site"])
    for place in part.index[part["site"].isin(sites.split(","))]:
        ax.axvline(place, color="black", linewidth=0.8, linestyle="-", alpha=0.6)
    ax.set_xlabel("loop:layer")
