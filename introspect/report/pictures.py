"""The figures of a run as data URIs, sorted into the parts of a report. In go tables, out come pictures."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from introspect.results.figures import draw_all

PIXELS = 112
"""CSS pixels an inch: a little larger than on paper, as the type of figures is small."""
DPI = 2 * PIXELS
PARTS = {"maps": ("_map",), "doses": ("dose_", "kl_", "_dose"), "agreement": ("agreement",)}
"""Parts of the report, and what the names of their figures hold; all others go into the last part."""
REST = "others"


@dataclass(frozen=True)
class Picture:
    """A figure as the page holds it."""

    name: str
    uri: str
    width: int
    """In CSS pixels."""


def pictures(tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Picture]]:
    """Draw all figures of a run, by the part of the report to which they belong."""
    found: dict[str, list[Picture]] = {part: [] for part in (*PARTS, REST)}
    for name, figure in draw_all(tables).items() if tables else ():
        part = next((part for part, marks in PARTS.items() if any(mark in name for mark in marks)), REST)
        found[part].append(_picture(name, figure))
    return found


def _picture(name: str, figure: Figure) -> Picture:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    uri = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
    return Picture(name, uri, round(figure.get_figwidth() * PIXELS))
