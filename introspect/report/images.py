"""The figures of a run as data URIs, sorted into the parts of a report. In go tables, out come pictures."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from introspect.results.figures.all_figures import draw_all
from introspect.results.store.csv_files import laid_out_once
from introspect.results.tables.trials.absence import Made

PIXELS = 112
"""CSS pixels an inch: a little larger than on paper, as the type of figures is small."""
_DPI = 2 * PIXELS
SECTIONS = {"maps": ("_map",), "doses": ("dose_", "kl_", "_dose"), "agreement": ("agreement",)}
"""Parts of the report, and what the names of their figures hold; all others go into the last part."""
OTHERS = "others"
OF_GRADER = "grader="
"""What the name of a figure holds before that of the grader, where there are several."""


@dataclass(frozen=True)
class Picture:
    """A figure as the page holds it."""

    name: str
    uri: str
    width: int
    """In CSS pixels."""
    aside: bool
    """Whether it shows another grader than the first."""


def pictures(tables: Mapping[str, pd.DataFrame], graders: Sequence[str]) -> Made[list[Picture]]:
    """Draw all figures of a run, by the part of the report to which they belong; those of other graders stand aside.

    Of figures that could not be drawn it is said what they lack.
    """
    found: dict[str, list[Picture]] = {part: [] for part in (*SECTIONS, OTHERS)}
    drawn = draw_all(tables)
    for name, figure in drawn.made.items():
        part = next((part for part, marks in SECTIONS.items() if any(mark in name for mark in marks)), OTHERS)
        aside = any(re.search(rf"{OF_GRADER}{re.escape(grader)}(?!\w)", name) for grader in graders[1:])
        found[part].append(_picture(name, figure, aside=aside))
    return Made(found, drawn.absent)


def _picture(name: str, figure: Figure, *, aside: bool) -> Picture:
    file = io.BytesIO()
    with laid_out_once(figure):
        figure.savefig(file, format="png", dpi=_DPI)
    uri = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
    return Picture(name, uri, round(figure.get_figwidth() * PIXELS), aside)
