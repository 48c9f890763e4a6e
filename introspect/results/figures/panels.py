"""What the figures share: style, colours of the arms, rows of panels, labels of loops, one part per varying factor."""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from introspect.results.tables.absence import AbsentError
from introspect.results.tables.rates import FACTORS, splitting

STYLE: dict[Any, Any] = {  # Any: matplotlib types the keys as one very long Literal
    **{"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "figure.titlesize": 9},
    **{"xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "legend.frameon": False},
    **{"axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "hatch.linewidth": 0.5},
    **{"axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2, "lines.markersize": 4},
}
"""Settings under which figures are drawn: readable at the width of a column; nothing is set on import."""

COLOURS = {
    **{"injected": "#0072B2", "random": "#D55E00", "none": "#555555", "wrong": "#CC79A7", "opposite": "#8C564B"},
    **{"negated": "#009E73", "shuffled": "#E69F00", "text": "#56B4E9", "in-span": "#B0A000"},
}
"""Of the arms, from the palette of Okabe and Ito, which the colour-blind can tell apart."""
ARM_MARKERS = {
    **{"injected": "o", "random": "s", "none": "_", "in-span": "D", "wrong": "^", "opposite": "v"},
    **{"negated": "P", "shuffled": "X", "text": "*"},
}
"""Shapes of the arms, which tell them apart where colours do not."""
ARM_LABELS = {
    **{"injected": "concept vector", "random": "random direction", "none": "no injection"},
    "in-span": "random direction in the span of concepts",
    **{"wrong": "another concept's vector", "opposite": "the opposite concept's vector"},
    **{"negated": "vector reversed", "shuffled": "vector shuffled"},
    **{"text": "concept in the text"},
}
MEASURE_LABELS = {
    "detected": "detection rate",
    "identified": "identification rate",
    "correct": "rate of the right answer",
}

LEAST_WIDTH = 3.2
PAGE_WIDTH = 7.0
"""Inches that a figure may take, of one column and over two."""
WIDTHS = {"one": 3.4, "two": PAGE_WIDTH}
"""Inches of one column and of two, for figures that are to have just that width."""
_ROOM: ContextVar[float | None] = ContextVar("room", default=None)
CHARACTERS_PER_INCH = 20
_OUTSIDE = {"prelude": -1, "coda": 1}
"""Stages outside of the loops, and on which side of them they are drawn."""
_PLACES = ("loop", "layer", "strength", "sites", "loops", "arm", "measure", "effect", "readout_loop", "pair")
"""Columns that say where in a figure a row goes."""
ALWAYS_SHARED = {"extract_loop", "strength_unit", "vectors_hash"}
"""Factors that trials without an injection do not have, so that these belong to every part."""


def panels(
    count: int, *, width: float, height: float, columns: int | None = None, same_scale: bool = True
) -> list[Axes]:
    """Make axes of a size in inches on a figure of their own, side by side as far as `columns` and the page allow.

    Raises AbsentError for no axes at all: then no row has a place in the figure.
    """
    if not count:
        raise AbsentError("no row has a place in it")
    columns = max(1, min(columns or count, int((_ROOM.get() or PAGE_WIDTH) // width)))
    rows = math.ceil(count / columns)
    size = max(LEAST_WIDTH, columns * width + 0.9), rows * height + 0.9
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=same_scale, squeeze=False)
    for spare in grid.flat[count:]:
        spare.remove()
    return list(grid.flat[:count])


@contextmanager
def page_width(width: str | None) -> Iterator[None]:
    """Draw for a width, one of WIDTHS; None lets each figure be as wide as its panels are."""
    token = _ROOM.set(None if width is None else WIDTHS[width])
    try:
        yield
    finally:
        _ROOM.reset(token)


def fitted(figure: Figure, source: str) -> Figure:
    """Return a figure the width of the page, and let its caption name the table that it was drawn from."""
    if (room := _ROOM.get()) is not None:
        figure.set_figwidth(room)
    said = " ".join(figure.get_supxlabel().split())
    if source not in said:
        caption(figure.axes, f"{said}; {source}" if said else source)
    elif room is not None:
        caption(figure.axes, said)
    return figure


FACTOR_WORDS = {
    **{"grader": "graded by {}", "template": "wording {}", "question": "question {}", "n_loops": "{} loops run"},
    **{
        "extract_loop": "vectors of loop {}",
        "sites": "sites {}",
        "strength_unit": "strength in {}",
        "loops": "loops {}",
    },
}
"""How the factors by which figures are split are written into titles."""


def in_words(label: str) -> str:
    """Write a label of `parts` for a reader: "n_loops=2 template=detect" as "2 loops run, wording detect"."""
    pairs = [each.partition("=") for each in label.split(" ") if each]
    return ", ".join(FACTOR_WORDS.get(name, name + " {}").format(value) for name, _, value in pairs)


def label_outer(axes: list[Axes]) -> None:
    """Keep the labels of the first panel of each row and the last of each column."""
    columns = axes[0].get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
    for place, ax in enumerate(axes):
        left, bottom = place % columns == 0, place + columns >= len(axes)
        ax.tick_params(labelleft=left, labelbottom=bottom)
        ax.set(xlabel=ax.get_xlabel() if bottom else "", ylabel=ax.get_ylabel() if left else "")


def caption(axes: list[Axes], text: str) -> None:
    """Write a text below all panels, in lines that fit the figure."""
    figure = figure_of(axes)
    lines = textwrap.fill(text, int(figure.get_figwidth() * CHARACTERS_PER_INCH))
    figure.supxlabel(lines, fontsize=6.5, color="#333333")


def span_of(counts: pd.Series) -> str:
    """Write the counts above 0 as "20", or "5 to 20"."""
    counts = counts[counts > 0]
    if counts.empty:
        return "0"
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"


def pooled(rows: pd.DataFrame) -> str:
    """Say in a caption over what a count is summed, as " over loops and layers"; "" where the rows are one cell."""
    found = [f"{name}s" for name in ("loop", "layer", "strength") if name in rows and rows[name].nunique() > 1]
    return f" over {', '.join(found[:-1])}{' and ' if found[1:] else ''}{found[-1]}" if found else ""


def figure_of(axes: list[Axes]) -> Figure:
    """Return the figure on which the axes are."""
    figure = axes[0].figure
    assert isinstance(figure, Figure), f"axes on a {type(figure).__name__}"
    return figure


def injected(table: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows of the concept's own vector."""
    return table[table["arm"] == "injected"]


def loop_labels(table: pd.DataFrame) -> pd.Series:
    """Name the loop of each row: "2", or "0-3" where the sites lie in several; missing without an injection."""
    return _labels(table, "loop", 0)


def layer_labels(table: pd.DataFrame) -> pd.Series:
    """Name the layer of each row: "2", or "0-3" where the sites lie in several; missing without an injection."""
    return _labels(table, "layer", 1)


def labels_in_order(labels: pd.Series) -> list[str]:
    """List the different labels: the prelude, numbers by size, the coda, and then spans."""
    numbers = {label: [int(number) for number in re.findall(r"\d+", label)] for label in labels.dropna().unique()}
    return sorted(numbers, key=lambda label: (len(numbers[label]) > 1, _OUTSIDE.get(label, 0), numbers[label]))


def parts(table: pd.DataFrame, together: Sequence[str] = ()) -> Iterator[tuple[str, pd.DataFrame]]:
    """Split a table by the factors that vary in it, so that a figure never mixes them; each part has its controls.

    Factors in `together` vary within the figure, and so may one that the place explains, such as the loops run where
    these are so many more than the loop of the injection.
    Returns a label such as "n_loops=2 template=lindsey", empty when nothing varies, and the rows.
    """
    cells = table[table["arm"] != "none"] if "arm" in table else table
    names = [column for column in table.columns if column in (*FACTORS, "grader") and column not in together]
    factors = splitting(cells, names, [name for name in _PLACES if name in table])
    without = table.drop(cells.index)
    groups = cells.groupby(factors, dropna=False) if factors else [((), cells)]
    for values, part in groups:
        wanted: dict[str, Any] = dict(zip(factors, values, strict=True))
        match = pd.Series(True, index=without.index)
        for factor in set(names) - ALWAYS_SHARED:  # a question that is asked without an injection only has no part
            match &= without[factor].isin(part[factor].unique())
        label = " ".join(f"{factor}={'same' if pd.isna(value) else value}" for factor, value in wanted.items())
        yield label, pd.concat([part, without[match]], ignore_index=True)


def points(ax: Axes, line: pd.DataFrame, **look: object) -> None:
    """Draw points with intervals over `x`, joined; what has no rate is left out."""
    line = line.dropna(subset="rate")
    if line.empty:
        return
    # an interval may miss its rate by rounding, and a length below zero is refused
    bars = np.clip([line["rate"] - line["low"], line["high"] - line["rate"]], 0, None)
    ax.errorbar(line["x"].astype(float), line["rate"], yerr=bars, capsize=2, elinewidth=0.8, clip_on=False, **look)  # type: ignore[arg-type]


def legend(axes: list[Axes]) -> None:
    """Put one legend beside all panels."""
    entries: dict[str, Artist] = {}
    for ax in axes:
        entries |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure_of(axes).legend(list(entries.values()), list(entries), loc="outside right upper")


def _labels(table: pd.DataFrame, column: str, place: int) -> pd.Series:
    labels = table[column].astype("str").where(table[column].notna())
    if "sites" in table:
        spans = table["sites"].map(lambda sites: _span(site.split(":")[place] for site in sites.split(",")), "ignore")
        return labels.fillna(spans)
    if "loops" in table:
        return labels.fillna(table["loops"].map(lambda loops: _span(loops.split(",")), "ignore"))
    return labels


def _span(names: Iterator[str] | list[str]) -> str:
    named = set(names)
    found, outside = sorted(int(name) for name in named if name.isdecimal()), sorted(named & set(_OUTSIDE))
    if len(found) > 1 and found == [*range(found[0], found[-1] + 1)]:
        return ",".join([f"{found[0]}-{found[-1]}", *outside])
    return ",".join([*map(str, found), *outside])
