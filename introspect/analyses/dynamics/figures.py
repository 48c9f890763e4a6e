"""The figures of `dynamics`: settling by layer, attention across sites, stages, paths, and what is left of injections.

In go tidy tables, out come axes.
"""

from collections.abc import Iterator

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from introspect.results.figures.layout import caption, figure_of, legend
from introspect.results.figures.panels import label_outer, panels
from introspect.results.figures.style import ARM_LABELS, LINES, MARKERS, STYLE, span_of

Colour = tuple[float, ...]
MOST_LABELS = 8
SETTLING = {
    "change_relative": "change from the loop before\n(share of the norm)",
    "distance_relative": "distance from the last loop\n(share of the norm)",
    "distance_cosine": "cosine with the last loop",
}
STAGE_LABELS = {
    "norm": "norm of the state",
    "entropy": "matrix entropy (nats)",
    "concentration": "attention concentration",
    "sink_rate": "share of heads with a sink",
    "mixing": "attention entropy (nats)",
}


@matplotlib.rc_context(STYLE)
def settling(layers: pd.DataFrame) -> list[Axes]:
    """Draw change, distance and cosine over recurrences, a line per layer, with bands over texts."""
    axes = panels(len(SETTLING), width=2.0, height=1.9, same_scale=False, narrow=False)
    for ax, (name, label) in zip(axes, SETTLING.items(), strict=True):
        for colour, label_, line in _coloured(layers, "layer"):
            line = line[line[name].notna() & ((line[name] > 0) | (name == "distance_cosine"))]
            style = LINES[int(line["layer"].iloc[0]) % len(LINES)] if len(line) else "-"
            ax.plot(line["loop"] + 1, line[name], color=colour, linestyle=style, label=label_)
            _band(ax, line["loop"] + 1, line, name, colour)
        ax.set(xlabel="loops run", ylabel=label)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
        if name != "distance_cosine":
            _logarithmic(ax)
    label_outer(axes, same_scale=False)
    legend(axes)
    caption(axes, f"mean over tokens, bands: 95% intervals over n = {span_of(layers['n'])} texts")
    return axes


@matplotlib.rc_context(STYLE)
def attention(pairs: pd.DataFrame) -> list[Axes]:
    """Draw the distance between the attention matrices of all pairs of sites, in running order."""
    size = int(len(pairs) ** 0.5)
    layers = int(pairs["layer"].max()) + 1
    grid = pairs["distance"].to_numpy().reshape(size, size)
    axes = panels(1, width=3.4, height=3.0)
    shown = axes[0].imshow(grid, cmap="viridis", origin="lower")
    ticks = np.arange(0, size, layers)
    axes[0].set_xticks(ticks, (ticks // layers).astype(str))
    axes[0].set_yticks(ticks, (ticks // layers).astype(str))
    axes[0].set(xlabel="loop, each with its layers", ylabel="loop, each with its layers")
    axes[0].spines[:].set_visible(False)
    figure_of(axes).colorbar(shown, ax=axes, label="Frobenius distance", fraction=0.05).outline.set_visible(False)
    caption(axes, f"attention matrices of all (loop, layer), mean over n = {span_of(pairs['n'])} texts")
    return axes


@matplotlib.rc_context(STYLE)
def stages(sites: pd.DataFrame, baseline: pd.DataFrame | None) -> list[Axes]:
    """Draw what each layer does, a line per loop, beside a feed-forward model over its relative depth."""
    axes = panels(len(STAGE_LABELS), width=2.0, height=1.6, columns=3, same_scale=False)
    for ax, (name, label) in zip(axes, STAGE_LABELS.items(), strict=True):
        for colour, label_, line in _coloured(sites, "loop"):
            ax.plot(_depth(line), line[name], color=colour, marker=_marker(line), markersize=3, label=label_)
            _band(ax, _depth(line), line, name, colour)
        if baseline is not None:
            ax.plot(_depth(baseline), baseline[name], color="black", linestyle="--", label="feed-forward")
            _band(ax, _depth(baseline), baseline, name, "black")
        ax.set(ylabel=label, xlabel="relative depth")
    label_outer(axes, same_scale=False)
    legend(axes)
    caption(axes, f"bands: 95% intervals over n = {span_of(sites['n'])} texts")
    return axes


@matplotlib.rc_context(STYLE)
def paths(path: pd.DataFrame) -> list[Axes]:
    """Draw the path of a token through all (loop, layer) on its two principal axes, coloured by loop."""
    axes = panels(1, width=3.4, height=2.8)
    axes[0].plot(path["x"], path["y"], color="#bbbbbb", linewidth=0.5, zorder=1)
    shown = axes[0].scatter(path["x"], path["y"], c=path["loop"] + 1, s=7, cmap="viridis", norm="log", zorder=2)
    end = path[path["loop"] == path["loop"].max()]
    axes[0].plot(end["x"], end["y"], "o", color="none", markeredgecolor="#D55E00", label="last loop")
    shares = path.iloc[0]
    axes[0].set(xlabel=f"first axis ({shares['x_share']:.0%} of variance)")
    axes[0].set(ylabel=f"second axis ({shares['y_share']:.0%})")
    bar = figure_of(axes).colorbar(
        shown, ax=axes, label="loops run", fraction=0.05, ticks=LogLocator(base=2), format="{x:g}"
    )
    bar.minorticks_off()
    legend(axes)
    caption(axes, "last token of n = 1 text, a point per (loop, layer)")
    return axes


@matplotlib.rc_context(STYLE)
def left(table: pd.DataFrame) -> list[Axes]:
    """Draw what is left of injections at each later loop's last layer, a line per loop of the injection."""
    ends = table[table["at_layer"] == table["at_layer"].max()]
    ends = ends[ends["layer"] == ends["layer"].min()]
    measures = {"relative": "paths apart\n(share of the norm)", "projection": "share of the\nvector left"}
    arms = [arm for arm in ("injected", "random") if arm in set(ends["arm"])]
    axes = panels(len(measures) * len(arms), width=2.6, height=1.6, columns=len(arms), same_scale=False)
    for place, ax in enumerate(axes):  # a measure has one scale for all arms
        if place % len(arms):
            ax.sharey(axes[place - place % len(arms)])
    for ax, (name, arm) in zip(axes, [(name, arm) for name in measures for arm in arms], strict=True):
        part = ends[(ends["arm"] == arm) & (ends["strength"] == ends["strength"].max())]
        for colour, label_, line in _coloured(part, "loop"):
            label = label_ and f"injected in {label_}"
            ax.plot(line["at_loop"] + 1, line[name], color=colour, marker=_marker(line), markersize=3, label=label)
            _band(ax, line["at_loop"] + 1, line, name, colour)
        ax.axvline(ends["n_loops"].max(), color="#999999", linewidth=0.6, linestyle=":")
        ax.set(title=ARM_LABELS[arm], xlabel="loops run")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if name == "relative":
            _logarithmic(ax)
        ax.set(ylabel=measures[name])
    label_outer(axes, same_scale=False)
    legend(axes)
    said = f"injected at layer {ends['layer'].min()}, strength {ends['strength'].max():g}; dotted: loops as trained"
    caption(axes, f"{said}; bands: 95% intervals over n = {span_of(ends['n'])} concepts")
    return axes


def _coloured(table: pd.DataFrame, by: str) -> Iterator[tuple[Colour, str | None, pd.DataFrame]]:
    """Yield colour, label and rows of each line; of many lines only some are labelled."""
    numbers = sorted(table[by].unique())
    shades = colormaps["viridis"](np.linspace(0, 0.88, len(numbers)))
    step = -(-len(numbers) // MOST_LABELS)
    for place, (shade, number) in enumerate(zip(shades, numbers, strict=True)):
        named = place % step == 0 or number == numbers[-1]
        yield tuple(shade), f"{by} {number}" if named else None, table[table[by] == number]


def _marker(line: pd.DataFrame) -> str:
    """Return the shape of the loop that a line is of."""
    return MARKERS[int(line["loop"].iloc[0]) % len(MARKERS)]


def _logarithmic(ax: Axes) -> None:
    ax.set(yscale="log")
    low, high = ax.get_ylim()
    if high < 10 * low:
        ax.set(ylim=(high / 20, high))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _band(ax: Axes, x: pd.Series, line: pd.DataFrame, name: str, colour: object) -> None:
    ax.fill_between(x, line[f"{name}_low"], line[f"{name}_high"], color=colour, alpha=0.2, linewidth=0)


def _depth(line: pd.DataFrame) -> pd.Series:
    return line["layer"] / max(1, int(line["layer"].max()))
