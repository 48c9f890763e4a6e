"""Figures of a run. In go tidy tables, out come axes; nothing is shown, no global style is set.

A new figure is a function from a table to its axes, and a line in FIGURES.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from introspect.results.figures.cell_labels import injected, parts
from introspect.results.figures.curves import (
    detection_by_loop,
    dose_response,
    identification_by_loop,
    loops_run,
    rates_by_loop,
)
from introspect.results.figures.effect_maps import contrast_map, control_map
from introspect.results.figures.effects import compression_by_loop, naming_by_loop, timing_by_loop
from introspect.results.figures.exit_by_loop import exit_by_loop
from introspect.results.figures.layout import caption, figure_of, fitted, page_width
from introspect.results.figures.maps import (
    detection_map,
    extract_map,
    identification_map,
    much_unknown,
    rate_map,
    readout_map,
    unknown_map,
)
from introspect.results.figures.style import UNITS, in_words, strengths_in
from introspect.results.figures.value_rows import agreement_points, capability_points, third_person_points
from introspect.results.store.csv_files import write_figure
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import STRENGTHS, summaries
from introspect.results.tables.trials.absence import Made, make_each

FIGURES: dict[str, tuple[str, Callable[[pd.DataFrame], list[Axes]]]] = {
    "detection_map": ("rates", detection_map),
    "identification_map": ("rates", identification_map),
    "detection_by_loop": ("loops", detection_by_loop),
    "identification_by_loop": ("loops", identification_by_loop),
    "dose_response": ("loops", dose_response),
    "correct_map": ("rates", partial(rate_map, measure="correct")),
    "correct_by_loop": ("loops", partial(rates_by_loop, measure="correct")),
    "unknown_map": ("rates", partial(unknown_map, measure="detected")),
    "unknown_answers_map": ("rates", partial(unknown_map, measure="correct")),
    "readout_map": ("readouts", readout_map),
    "extract_map": ("loops", extract_map),
    "loops_run": ("loops", loops_run),
    "contrast_map": ("contrasts", contrast_map),
    "compression": ("compression", compression_by_loop),
    "third_person": ("third_person", third_person_points),
    "naming": ("naming", naming_by_loop),
    "timing": ("timing", timing_by_loop),
    "control_map": ("control", control_map),
    "exit_by_loop": ("exits", exit_by_loop),
    "agreement": ("agreement", agreement_points),
    "capability": ("capability", capability_points),
}
"""Of each figure: the table it is drawn from, and the function that draws it."""


MEASURES_OF = {
    **dict.fromkeys(("detection_map", "detection_by_loop", "extract_map", "loops_run", "unknown_map"), ("detected",)),
    **dict.fromkeys(("identification_map", "identification_by_loop"), ("identified",)),
    **dict.fromkeys(("correct_map", "correct_by_loop", "unknown_answers_map"), ("correct",)),
    "dose_response": ("detected", "identified"),
}
"""The measures of a figure, without which it is not drawn."""
_WHOLE = {"agreement", "capability", "exit_by_loop", "third_person"}
"""Figures that show all graders and settings at once."""
SHOWN_TOGETHER = {"timing": ["grader"], "extract_map": ["extract_loop"], "loops_run": ["n_loops"]}
"""Factors that vary within a figure."""
NEEDS_SEVERAL = {"extract_map": "extract_loop", "loops_run": "n_loops"}
"""What must vary for a figure to be drawn."""
OF_UNKNOWN = {"unknown_map", "unknown_answers_map"}
"""Figures that are drawn only where many answers are unknown."""


def draw_all(tables: Mapping[str, pd.DataFrame], width: str | None = None) -> Made[Figure]:
    """Draw every figure that the tables give, each by itself, several where a factor such as the template varies.

    `width` is `one` or `two` columns of a page; None lets each be as wide as its panels are. Every caption names its
    table.
    """
    makers: dict[str, Callable[[], Figure]] = {}
    for name, (table, draw) in FIGURES.items():
        shown = _shown(tables.get(table, pd.DataFrame()), name)
        for label, part in _parts(shown, name):
            if _there(part, name):
                key = "_".join([name, *re.sub(r"[^\w.=-]+", "-", label).split()])
                part.attrs = shown.attrs
                makers[key] = partial(_titled, draw, part, label, table)
    with page_width(width):
        return make_each(makers)


def _titled(draw: Callable[[pd.DataFrame], list[Axes]], part: pd.DataFrame, label: str, table: str) -> Figure:
    unit = _unit(part)
    with strengths_in(unit):
        figure = figure_of(draw(part))
    if label:
        figure.suptitle(f"{figure.get_suptitle()}\n{in_words(label)}".strip())
    said = " ".join(figure.get_supxlabel().split())
    titles = " ".join(ax.get_title() for ax in figure.axes)
    if unit is not None and "strength" in said + titles:
        caption(figure.axes, f"{said}; strength: {UNITS[unit]}")
    return fitted(figure, f"{table}.csv")


def _unit(part: pd.DataFrame) -> str | None:
    """Return the unit of the strengths of a part: of its own column, or of the run that it was made from."""
    units = part["strength_unit"].dropna().unique() if "strength_unit" in part else part.attrs.get(STRENGTHS, ())
    return str(units[0]) if len(units) == 1 else None


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
    if name in _WHOLE:
        yield "", shown
        return
    yield from parts(shown, SHOWN_TOGETHER.get(name, ()))


def _there(part: pd.DataFrame, name: str) -> bool:
    """Tell whether there is anything to draw: something injected, and for views along an axis more than one value."""
    if "arm" in part and injected(part).empty:
        return False
    if name in OF_UNKNOWN and not much_unknown(part):
        return False
    axis = NEEDS_SEVERAL.get(name)
    return axis is None or (axis in part and injected(part)[axis].nunique() > 1)


def write_figures(store: Store, drawn: Made[Figure] | None = None) -> list[Path]:
    """Write each figure of a run as PNG and PDF into its folder `figures`; `drawn` are they, if already drawn."""
    figures = (draw_all(summaries(store).made) if drawn is None else drawn).made
    _remove_others(store.folder / "figures", figures)
    return [path for name, figure in figures.items() for path in write_figure(store.folder, name, figure)]
