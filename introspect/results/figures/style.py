"""What the figures share: style, colours and shapes of the arms, and how arms, factors and counts are written."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pandas as pd

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
    "swap": "#7B4FA3",
}
"""Of the arms, from the palette of Okabe and Ito, which the colour-blind can tell apart."""
ARM_MARKERS = {
    **{"injected": "o", "random": "s", "none": "_", "in-span": "D", "swap": "h", "wrong": "^", "opposite": "v"},
    **{"negated": "P", "shuffled": "X", "text": "*"},
}
"""Shapes of the arms, which tell them apart where colours do not."""
ARM_LABELS = {
    **{"injected": "concept vector", "random": "random direction", "none": "no injection"},
    **{"in-span": "random direction in the span of concepts", "swap": "swap of two neutral prompts"},
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
LINES = ("-", "--", "-.", ":")
"""Lines of what has too many points for shapes."""
UNITS = {
    "vector": "\N{MULTIPLICATION SIGN} concept vector",
    "residual": "\N{MULTIPLICATION SIGN} residual norm",
    "kl": "nats of KL",
}
"""How the units of a strength are written."""
_UNIT: ContextVar[str | None] = ContextVar("unit", default=None)
FACTOR_WORDS = {
    **{"grader": "graded by {}", "template": "wording {}", "question": "question {}", "n_loops": "{} loops run"},
    **{"extract_loop": "vectors of loop {}", "sites": "sites {}", "loops": "loops {}"},
    "strength_unit": "strength in {}",
}
"""How the factors by which figures are split are written into titles."""


def in_words(label: str) -> str:
    """Write a label of `parts` for a reader: "n_loops=2 template=detect" as "2 loops run, wording detect"."""
    pairs = [each.partition("=") for each in label.split(" ") if each]
    return ", ".join(FACTOR_WORDS.get(name, name + " {}").format(value) for name, _, value in pairs)


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
