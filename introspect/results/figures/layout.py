"""The layout of a figure: its width, titles in lines that fit, the legend below the panels, below it the caption.

In goes a figure with its panels, out comes the same figure, higher by what stands around them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

PAGE_WIDTH = 7.0
"""Inches that a figure may take over two columns."""
WIDTHS = {"one": 3.4, "two": PAGE_WIDTH}
"""Inches of one column and of two, for figures that are to have just that width."""
PAGE_HEIGHT = 9.0
"""Inches that a figure may be high."""
_ROOM: ContextVar[float | None] = ContextVar("room", default=None)
_MARGIN = 0.05
"""Inches left free around the texts outside the panels."""
_BESIDE = 0.55
"""Inches of a figure's width that ticks and labels take."""
_BAR = 0.8
"""Inches of a figure's width that a bar of colours takes."""
_CAPTION_SIZE, _TITLE_SIZE, _LEGEND_SIZE = 6.5, 8.0, 7.0
"""Points."""
_KEY = 0.42
"""Inches of a mark in the legend, with the gap to the next entry."""
_POINTS_PER_INCH = 72
_HINTED = 1.04
"""How much wider letters may become where they are set on pixels."""
_CAPTION: dict[str, Any] = {"fontsize": _CAPTION_SIZE, "color": "#333333", "va": "bottom", "ha": "left"}
_HEADLINE: dict[str, Any] = {"fontsize": _TITLE_SIZE, "va": "top", "ha": "left"}


@contextmanager
def page_width(width: str | None) -> Iterator[None]:
    """Draw for a width, one of WIDTHS; None lets each figure be as wide as its panels are."""
    token = _ROOM.set(None if width is None else WIDTHS[width])
    try:
        yield
    finally:
        _ROOM.reset(token)


def room() -> float | None:
    """Return the inches that figures are to have just now; None where each is as wide as its panels are."""
    return _ROOM.get()


def figure_of(axes: Sequence[Artist]) -> Figure:
    """Return the figure on which these are."""
    figure = axes[0].get_figure()
    assert isinstance(figure, Figure), f"axes on a {type(figure).__name__}"
    return figure


def wrapped(text: str, width: float, size: float) -> str:
    """Break a text into lines of at most `width` inches in letters of `size` points; what stands in lines is joined."""
    lines, taken = list[str](), 0.0
    for word in text.split():
        longer = taken + _inches(" ", size) + _inches(word, size)
        if lines and longer <= width:
            lines[-1], taken = f"{lines[-1]} {word}", longer
        else:
            lines, taken = [*lines, word], _inches(word, size)
    return "\n".join(lines)


def legend(axes: list[Axes], marks: Sequence[Artist] = ()) -> None:
    """Put one legend below all panels, in as many columns as fit; each label once, whatever panels it is in.

    It holds what is labelled in the panels, or the `marks` where some are given.
    """
    figure, entries = figure_of(axes), {str(mark.get_label()): mark for mark in marks}
    for ax in [] if marks else axes:
        entries |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if not entries:
        return
    widths = [_inches(label, _LEGEND_SIZE) + _KEY for label in entries]
    columns = next(
        count for count in range(len(widths), 0, -1) if count == 1 or _beside(widths, count) < _inner(figure)
    )
    look = {"fontsize": _LEGEND_SIZE, "frameon": False, "borderpad": 0.2, "columnspacing": 1.2, "handlelength": 1.8}
    figure.legend(list(entries.values()), list(entries), loc="lower center", ncols=columns, **look)
    _arrange(figure)


def caption(axes: list[Axes], text: str) -> None:
    """Write a text below all panels and their legend, in lines that fit the figure, and give all texts their room."""
    figure = figure_of(axes)
    figure.supxlabel(text)
    _arrange(figure)


def fitted(figure: Figure, source: str) -> Figure:
    """Return a figure whose caption names the table that it was drawn from."""
    said = " ".join(figure.get_supxlabel().split())
    if source not in said:
        said = f"{said}; {source}" if said else source
    caption(figure.axes, said)
    return figure


def _beside(widths: Sequence[float], columns: int) -> float:
    """Return the inches of entries in so many columns, filled one after the other, as a legend does."""
    return float(sum(max(column) for column in np.array_split(widths, columns)))


def _inner(figure: Figure) -> float:
    return figure.get_figwidth() - 2 * _MARGIN


def _arrange(figure: Figure) -> None:
    """Put title, legend and caption around the panels, and let the figure grow by what was not there before."""
    width, edge = _inner(figure), _MARGIN / figure.get_figwidth()
    below = figure.supxlabel(wrapped(figure.get_supxlabel(), width, _CAPTION_SIZE), **_CAPTION, x=edge, y=0)
    lines = [wrapped(line, width, _TITLE_SIZE) for line in figure.get_suptitle().split("\n")]
    above = figure.suptitle("\n".join(lines), **_HEADLINE, x=edge, y=1)
    _wrap_titles(figure)
    foot, top = (_height(each) if each.get_text() else 0.0 for each in (below, above))
    _reserve(figure, foot + sum(map(_height, figure.legends)), top)
    for each, place in ((below, _MARGIN), (above, figure.get_figheight() - _MARGIN)):
        each.set(y=place / figure.get_figheight(), in_layout=False)
    for legend_ in figure.legends:
        legend_.set_bbox_to_anchor((0, foot, figure.get_figwidth(), 0), figure.dpi_scale_trans)


def _height(shown: Legend | Text) -> float:
    """Return the inches that something takes, with its margins."""
    return float(shown.get_window_extent().height) / figure_of([shown]).dpi + 2 * _MARGIN


def _reserve(figure: Figure, bottom: float, top: float) -> None:
    """Keep inches below and above the panels free, and let the figure grow by what it had not kept before."""
    engine = cast("ConstrainedLayoutEngine", figure.get_layout_engine())  # every figure here has this one
    _, _, _, share = engine.get()["rect"]
    height = figure.get_figheight() * share + bottom + top
    figure.set_figheight(height)
    engine.set(rect=(0, bottom / height, 1, 1 - (bottom + top) / height))


def _wrap_titles(figure: Figure) -> None:
    """Break titles of panels where they would reach into the next panel."""
    beside = _BESIDE + _BAR * any(ax.get_label() == "<colorbar>" for ax in figure.axes)
    for ax in figure.axes:
        place = ax.get_subplotspec()
        if not ax.get_title() or place is None:
            continue
        grid = place.get_gridspec()
        width = (figure.get_figwidth() - beside) / grid.ncols - _MARGIN
        title = "\n".join(wrapped(line, width, _TITLE_SIZE) for line in ax.get_title().split("\n"))
        longer = title.count("\n") - ax.get_title().count("\n")
        if longer > 0 and place.colspan.start == 0:
            figure.set_figheight(figure.get_figheight() + longer * _TITLE_SIZE * 1.2 / _POINTS_PER_INCH)
        ax.title.set_text(title)  # set_title would give it the size of a figure without a style


@lru_cache(maxsize=4096)
def _inches(text: str, size: float) -> float:
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return _HINTED * float(width) / _POINTS_PER_INCH
