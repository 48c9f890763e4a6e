"""What a reader of a printed figure would stumble over, found in the figure itself, in points of its final size."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from introspect.results.store import csv_files

LEAST_FONT = 6.0
TOUCHING = 0.5
"""Points by which the boxes of two texts may overlap: a box is a little larger than its letters."""
LEAST_APART = 1.5
"""Points from one mark to the next, below which one hides the other."""
LEAST_PANEL = 0.5
"""Inches, below which nothing can be read off a panel."""


def faults(figure: Figure, source: str = ".csv") -> list[str]:
    """List all faults of a figure, each in a line; `source` is the name of the table that the caption must hold."""
    figure.set_dpi(72)  # a pixel is a point
    figure.draw_without_rendering()
    written = [(text, text.get_window_extent()) for text in texts(figure)]
    return [
        *_outside(figure, written),
        *_overlapping(written),
        *_small(written),
        *_covered(figure, written),
        *_squeezed(figure),
        *_hidden(figure),
        *_unnamed(figure),
        *_unsaid(figure, source),
    ]


def written_widths(folder: Path) -> set[float]:
    """Return how wide the figures are that were written into a folder, in inches."""
    dpi = csv_files.FORMATS["png"]["dpi"]
    return {imread(path).shape[1] / dpi for path in (folder / "figures").glob("*.png")}


def texts(figure: Figure) -> Iterator[Text]:
    """Yield all texts that are drawn; ticks beyond the end of an axis are not."""
    found = [figure._suptitle, figure._supxlabel]  # type: ignore[attr-defined]
    for ax in figure.axes:
        found += [ax.title, *ax.texts]
        for axis in ax._axis_map.values():  # type: ignore[attr-defined]
            ticks = axis._update_ticks()
            found += [axis.label, axis.offsetText]
            if ax.name != "3d":  # which places them only while it draws
                found += [tick.label1 for tick in ticks if tick.label1.get_visible()]
        if ax.get_legend() is not None:
            found += ax.get_legend().get_texts()
    for legend in figure.legends:
        found += [legend.get_title(), *legend.get_texts()]
    yield from (text for text in found if text is not None and text.get_visible() and text.get_text().strip())


def _outside(figure: Figure, written: list[tuple[Text, Bbox]]) -> Iterator[str]:
    width, height = figure.bbox.size
    for text, box in written:
        if min(box.x0, box.y0) < -TOUCHING or box.x1 > width + TOUCHING or box.y1 > height + TOUCHING:
            yield f"outside the figure: {text.get_text()!r}"


def _overlapping(written: list[tuple[Text, Bbox]]) -> Iterator[str]:
    for (one, here), (other, there) in combinations(written, 2):
        shared = Bbox.intersection(here, there)
        if shared is not None and min(shared.width, shared.height) > TOUCHING:
            yield f"overlapping: {one.get_text()!r} and {other.get_text()!r}"


def _small(written: list[tuple[Text, Bbox]]) -> Iterator[str]:
    for text, _ in written:
        if text.get_fontsize() < LEAST_FONT:
            yield f"{text.get_fontsize():.1f} points: {text.get_text()!r}"


def _covered(figure: Figure, written: list[tuple[Text, Bbox]]) -> Iterator[str]:
    """Find what lies on a panel but does not belong into it, the legend and its own."""
    for ax in figure.axes:
        panel = ax.get_window_extent()
        inside = {*ax.texts}
        for text, box in written:
            shared = Bbox.intersection(panel, box)
            if ax.name != "3d" and text not in inside and shared is not None and min(shared.size) > TOUCHING:
                yield f"on a panel: {text.get_text()!r}"


def _squeezed(figure: Figure) -> Iterator[str]:
    for ax in figure.axes:
        size = ax.get_window_extent().size / 72
        if not _is_colour_bar(ax) and min(size) < LEAST_PANEL:
            yield f"a panel of {size[0]:.2f} x {size[1]:.2f} inches"


def _hidden(figure: Figure) -> Iterator[str]:
    """Find points of two lines at one place."""
    for ax in figure.axes:
        places = [
            (container.get_label(), _places(container))
            for container in ax.containers
            if isinstance(container, ErrorbarContainer)
        ]
        for (one, here), (other, there) in combinations(places, 2):
            apart = np.linalg.norm(here[:, None] - there[None], axis=-1)
            if apart.size and apart.min() < LEAST_APART:
                yield f"{one} hides {other} in {ax.get_title()!r}"


def _places(container: ErrorbarContainer) -> np.ndarray:
    line = container.lines[0]
    places = line.get_transform().transform(line.get_xydata())
    return places[np.isfinite(places).all(axis=1)]


def _unnamed(figure: Figure) -> Iterator[str]:
    """Find axes without a label, where no neighbour has it for them."""
    for ax in figure.axes:
        if _is_colour_bar(ax):
            if not ax.get_ylabel() and not ax.get_xlabel():
                yield "a bar of colours without a label"
            continue
        for axis in ax._axis_map.values():  # type: ignore[attr-defined]
            shown = any(tick.label1.get_visible() and tick.label1.get_text() for tick in axis._update_ticks())
            words = any(t.get_text() and not t.get_text()[0].isdigit() for t in axis.get_ticklabels())
            if shown and not axis.get_label_text() and not words and not _neighbour_names(ax, axis.axis_name):
                yield f"axis {axis.axis_name} of {ax.get_title()!r} has no label"


def _neighbour_names(ax: Axes, name: str) -> bool:
    place = ax.get_subplotspec()
    row, column = (place.rowspan.start, place.colspan.start) if place else (0, 0)
    for other in ax.figure.axes:
        there = other.get_subplotspec()
        if there is None or _is_colour_bar(other) or other is ax:
            continue
        beside = there.rowspan.start == row if name == "y" else there.colspan.start == column
        if beside and other._axis_map[name].get_label_text():  # type: ignore[attr-defined]
            return True
    return False


def _unsaid(figure: Figure, source: str) -> Iterator[str]:
    said = " ".join(figure.get_supxlabel().split())
    if source not in said:
        yield f"no table in the caption: {said!r}"
    if "n = " not in said and " of " not in said:
        yield f"no n in the caption: {said!r}"
    titles = [figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)]
    yield from (f"raw title: {title!r}" for title in titles if "=" in title or "_" in title)


def _is_colour_bar(ax: Axes) -> bool:
    return ax.get_label() == "<colorbar>"
