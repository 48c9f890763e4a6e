"""What the figures share: style, colours of the arms, rows of panels, labels of loops, one part per varying factor."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from introspect.results.figures.layout import PAGE_WIDTH, figure_of, room
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

MARKERS = "osD^vP*X"
"""Shapes of loops and layers, which have shades beside them."""
UNITS = {
    "vector": "\N{MULTIPLICATION SIGN} concept vector",
    "residual": "\N{MULTIPLICATION SIGN} residual norm",
    "kl": "nats of KL",
}
"""How the units of a strength are written."""
_UNIT: ContextVar[str | None] = ContextVar("unit", default=None)
LEAST_WIDTH = 3.2
"""Inches that a figure has at least."""
SQUEEZED = 0.7
"""Share of its width that a panel keeps at least where panels stand side by side on a page of a given width."""
APART = 3.2
"""Points from one mark to the next where several stand at one place, so that none hides another."""
_OUTSIDE = {"prelude": -1, "coda": 1}
"""Stages outside of the loops, and on which side of them they are drawn."""
_PLACES = ("loop", "layer", "strength", "sites", "loops", "arm", "measure", "effect", "readout_loop", "pair")
"""Columns that say where in a figure a row goes."""
ALWAYS_SHARED = {"extract_loop", "strength_unit", "vectors_hash"}
"""Factors that trials without an injection do not have, so that these belong to every part."""


def panels(
    count: int,
    *,
    width: float,
    height: float,
    columns: int | None = None,
    same_scale: bool = True,
    narrow: bool = True,
) -> list[Axes]:
    """Make axes of a size in inches on a figure of their own, side by side as far as `columns` and the page allow.

    Where the page has a given width, panels that may be `narrow` keep at least the share SQUEEZED of theirs.

    Raises AbsentError for no axes at all: then no row has a place in the figure.
    """
    if not count:
        raise AbsentError("no row has a place in it")
    columns = columns_of(count, width, columns, narrow=narrow)
    rows = math.ceil(count / columns)
    size = room() or max(LEAST_WIDTH, columns * width + 0.5), rows * height + 0.4
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=same_scale, squeeze=False)
    for spare in grid.flat[count:]:
        spare.remove()
    return list(grid.flat[:count])


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


def label_outer(axes: list[Axes], *, same_scale: bool = True) -> None:
    """Keep the labels of the first panel of each row, unless each has its scale, and the last of each column."""
    columns = axes[0].get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
    for place, ax in enumerate(axes):
        left, bottom = not same_scale or place % columns == 0, place + columns >= len(axes)
        ax.tick_params(labelleft=left, labelbottom=bottom)
        ax.set(xlabel=ax.get_xlabel() if bottom else "", ylabel=ax.get_ylabel() if left else "")


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


def columns_of(count: int, width: float, columns: int | None = None, *, narrow: bool = True) -> int:
    """Return how many panels of a width, of so many, stand side by side on the page."""
    least = SQUEEZED * width if narrow and room() is not None else width
    return max(1, min(columns or count, int(((room() or PAGE_WIDTH) - 0.3) // least)))


@contextmanager
def strengths_in(unit: str | None) -> Iterator[None]:
    """Draw strengths of a unit, one of UNITS; None where it is not known."""
    token = _UNIT.set(unit)
    try:
        yield
    finally:
        _UNIT.reset(token)


def strength_label() -> str:
    """Name the axis of the strengths, with their unit where it is known."""
    unit = _UNIT.get()
    return f"strength ({UNITS[unit]})" if unit else "strength"


def arms_of(rows: pd.DataFrame) -> list[str]:
    """List the arms of a table that have a rate, in the order that all figures have."""
    there = set(rows["arm"]) if "rate" not in rows else set(rows.loc[rows["rate"].notna(), "arm"])
    return [arm for arm in ARM_LABELS if arm in there]


def arm_look(arm: str) -> dict[str, Any]:
    """Return how an arm is drawn, by colour, shape and line."""
    style = "-" if arm == "injected" else "--"
    return {"color": COLOURS[arm], "marker": ARM_MARKERS[arm], "linestyle": style, "label": ARM_LABELS[arm]}


def spread_of(labels: Sequence[str], most: int = 4) -> list[str]:
    """Choose at most so many labels, evenly from the first to the last."""
    if len(labels) <= most:
        return list(labels)
    return [labels[round(place)] for place in np.linspace(0, len(labels) - 1, most)]


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


def points(ax: Axes, line: pd.DataFrame, *, place: int = 0, of: int = 1, slots: int = 1, **look: object) -> None:
    """Draw points with intervals over `x`, joined; what has no rate is left out.

    Of so many lines (`of`) each is shifted by its `place`, in points of the page whatever the axis is, so that none
    hides another; with `slots`, the ticks of the axis, the lines of one tick stay clear of those of the next.
    """
    line = line.dropna(subset="rate")
    if line.empty:
        return
    # an interval may miss its rate by rounding, and a length below zero is refused
    bars = np.clip([line["rate"] - line["low"], line["high"] - line["rate"]], 0, None)
    across = ScaledTranslation(_apart(ax, of, slots) * (place - (of - 1) / 2) / 72, 0, figure_of([ax]).dpi_scale_trans)
    fixed = {"capsize": 1.5, "elinewidth": 0.7, "clip_on": False, "transform": ax.transData + across}
    x = line["x"].astype(float)
    ax.errorbar(x, line["rate"], yerr=bars, **(fixed | look))  # type: ignore[arg-type]
    reach = np.nan_to_num(bars)  # a point without an interval is still within the limits
    for bound in (line["rate"] - reach[0], line["rate"] + reach[1]):  # what is shifted moves no limits by itself
        ax.update_datalim(np.column_stack([x, bound]))
    ax.autoscale_view()


def _apart(ax: Axes, of: int, slots: int) -> float:
    """Return the points from one of so many lines to the next, with so many ticks on a panel."""
    place = ax.get_subplotspec()
    columns = place.get_gridspec().ncols if place is not None else 1
    panel = 72 * (figure_of([ax]).get_figwidth() / columns - 0.5)
    return min(APART, 0.8 * panel / max(1, slots) / max(1, of))


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
