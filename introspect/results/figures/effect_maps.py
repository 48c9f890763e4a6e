"""Maps of differences over loop and layer, what is significant in bold: the primary contrast, control of the state.

Takes the table of the same name. Returns axes.
"""

import matplotlib
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from introspect.results.figures.cell_labels import labels_in_order, layer_labels, loop_labels
from introspect.results.figures.layout import caption
from introspect.results.figures.map_grid import (
    MINUS,
    MOST_WRITTEN,
    draw_grid,
    finish,
    map_panels,
    pivot,
    reach_of,
    signed_form,
)
from introspect.results.figures.style import STYLE, span_of

SIGNIFICANT = 0.05
MARKED = f"bold: p < {SIGNIFICANT:g} in both tests, corrected over all panels"
_TESTS = ["p_map", "p_student_map"]
"""Sign flips err where concepts are skewed, the bootstrap where they are few: what is marked passes both."""


@matplotlib.rc_context(STYLE)
def contrast_map(contrasts: pd.DataFrame) -> list[Axes]:
    """Draw the primary contrast over loop and layer, one panel per strength; the caption has the overall one."""
    contrasts = contrasts[contrasts["effect"] == "contrast"]
    overall, cells = contrasts[contrasts["strength"].isna()], contrasts[contrasts["strength"].notna()]
    groups = {f"strength {strength:g}": part for strength, part in cells.groupby("strength")}
    axes = _difference_maps(groups, "contrast (logits)")
    written = (
        "over all cells {:+.2f} [{:+.2f}, {:+.2f}]" if reach_of(cells["mean"]) < MOST_WRITTEN else "over all {:+.2g}"
    )
    known = overall.dropna(subset=["mean", "low", "high"])
    said = [written.format(row["mean"], row["low"], row["high"]) for _, row in known.iterrows()]
    shift = f"shift of logit(yes) {MINUS} logit(no) on noticing beyond the line of plain questions, concept less random"
    caption(axes, "; ".join([shift, *said, f"n = {span_of(cells['n'])} concepts", MARKED]))
    return axes


@matplotlib.rc_context(STYLE)
def control_map(control: pd.DataFrame) -> list[Axes]:
    """Draw, over loop and layer, how much higher the cosine is when told to think of the word than when told not to."""
    axes = _difference_maps(
        {str(pair): part for pair, part in control.groupby("pair", sort=False)}, "cosine difference"
    )
    caption(axes, f"think minus do not, mean over concepts; n = {span_of(control['n'])} concepts; {MARKED}")
    return axes


def _difference_maps(groups: dict[str, pd.DataFrame], label: str) -> list[Axes]:
    """Draw means over loop and layer, a panel a group, in colours around 0; what is significant is in bold."""
    groups = {title: part.assign(x=loop_labels(part), y=layer_labels(part)) for title, part in groups.items()}
    every = pd.concat(groups.values())
    xs, ys = labels_in_order(every["x"]), labels_in_order(every["y"])
    reach = reach_of(every["mean"])
    colours = ScalarMappable(Normalize(-reach, reach), colormaps["RdBu_r"])
    axes = map_panels(len(groups), len(xs), len(ys))
    for ax, (title, part) in zip(axes, groups.items(), strict=True):
        draw_grid(ax, pivot(part, "mean", xs, ys), colours, signed_form(reach))
        passed = part[_TESTS].max(axis=1) < SIGNIFICANT
        strong = pivot(part.assign(strong=passed.astype(float)), "strong", xs, ys)
        for text in ax.texts:
            column, row = (int(number) for number in text.get_position())
            text.set_fontweight("bold" if strong.to_numpy()[row, column] == 1 else "normal")
        ax.set(title=title, xlabel="loop", ylabel="layer")
    finish(axes, colours, label)
    return axes
