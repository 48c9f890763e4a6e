"""Figures of what a run allows to infer: contrasts, naming, timing, control, agreement, capability.

In goes the table of the same name, out come axes.
"""

from itertools import product
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from introspect.results.figures.curves import bands
from introspect.results.figures.layout import caption, legend, wrapped
from introspect.results.figures.maps import (
    MINUS,
    MOST_WRITTEN,
    draw_grid,
    finish,
    map_panels,
    pivot,
    reach_of,
    signed_form,
)
from introspect.results.figures.panels import (
    ARM_LABELS,
    COLOURS,
    MARKERS,
    STYLE,
    arm_look,
    arms_of,
    injected,
    label_outer,
    labels_in_order,
    layer_labels,
    loop_labels,
    panels,
    points,
    span_of,
    spread_of,
)
from introspect.results.statistics.capability import ACCURACY_FLOOR, MASS_FLOOR
from introspect.results.tables.absence import AbsentError

LAYERS_BESIDE = 3
"""Layers that are drawn side by side; of more, these are spread from the first to the last."""
NAME_WIDTH = 1.35
"""Inches of the names beside values in rows."""
SIGNIFICANT = 0.05
MARKED = f"bold: p < {SIGNIFICANT:g} in both tests, corrected over all panels"
_TESTS = ["p_map", "p_student_map"]
"""Sign flips err where concepts are skewed, the bootstrap where they are few: what is marked passes both."""
PLAIN_SHIFTS = {
    "slope": "slope of the shift\n(0: none, \N{MINUS SIGN}1: to zero)",
    "intercept": "pull towards yes\n(logits)",
    "entropy": "change of entropy\n(nats)",
}
TIMES = {"first_yes": "loop after which yes\nfirst outweighs no", "tokens": "tokens until\nthe claim"}


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
def compression_by_loop(compression: pd.DataFrame) -> list[Axes]:
    """Draw what the strongest dose does to plain questions, by loop of the injection, one panel per measure."""
    cells = compression[compression["strength"].notna()]
    shown = cells[cells["strength"] == cells["strength"].max()].assign(rate=lambda rows: rows["mean"])
    shown = shown.assign(x=loop_labels(shown), y=layer_labels(shown))
    measures, xs = [name for name in PLAIN_SHIFTS if (shown["measure"] == name).any()], labels_in_order(shown["x"])
    arms, layers = arms_of(shown), _layers_shown(shown)
    axes = panels(len(measures), width=2.3, height=1.7, same_scale=False)
    for ax, measure in zip(axes, measures, strict=True):
        for place, (arm, layer) in enumerate(product(arms, layers)):
            line = shown[(shown["measure"] == measure) & (shown["arm"] == arm) & (shown["y"] == layer)]
            beside = {"place": place, "of": len(arms) * len(layers), "slots": len(xs)}
            points(ax, line.assign(x=line["x"].map(xs.index)), **beside, **_look(arm, layer, layers))
        ax.axhline(0, color="#555555", linewidth=0.6, zorder=0)
        _loop_ticks(ax, xs)
        ax.set(ylabel=PLAIN_SHIFTS[measure])
    label_outer(axes, same_scale=False)
    legend(axes)
    said = f"plain questions, nothing to notice; {_layers_said(layers, shown)}t intervals over concepts"
    caption(
        axes, f"{said}; strength {shown['strength'].iloc[0]:g}; n = {span_of(shown['n'])} concepts; compression.csv"
    )
    return axes


@matplotlib.rc_context(STYLE)
def third_person_points(table: pd.DataFrame) -> list[Axes]:
    """Draw first person, third person and the excess over all cells, in logits, or in shares where there are none."""
    whole = table[table["strength"].isna()].assign(rate=lambda rows: rows["mean"])
    logits = whole["measure"].isin(("contrast", "injected")) & whole["rate"].notna()
    shown, label = (whole[logits], "logits") if logits.any() else (whole[~logits], "share")
    said = shown["measure"] + (" / " + shown["third"] if shown["third"].nunique() > 1 else "")
    axes = _lines(shown.assign(name=said + ": " + shown["effect"]), f"effect of the injection ({label})", None)
    axes[0].axvline(0, color="#555555", linewidth=0.6)
    counts = span_of(shown["n"])
    caption(axes, f"over all cells; t intervals over concepts; n = {counts} concepts; third_person.csv")
    return axes


@matplotlib.rc_context(STYLE)
def control_map(control: pd.DataFrame) -> list[Axes]:
    """Draw, over loop and layer, how much higher the cosine is when told to think of the word than when told not to."""
    axes = _difference_maps(
        {str(pair): part for pair, part in control.groupby("pair", sort=False)}, "cosine difference"
    )
    caption(axes, f"think minus do not, mean over concepts; n = {span_of(control['n'])} concepts; {MARKED}")
    return axes


@matplotlib.rc_context(STYLE)
def naming_by_loop(naming: pd.DataFrame) -> list[Axes]:
    """Draw how often the right concept is chosen by loop, beside chance and the habit with nothing injected."""
    naming = naming.assign(x=loop_labels(naming), y=layer_labels(naming))
    written, naming = naming[naming["strength"].isna()], naming[naming["strength"].notna()]
    strengths, xs = sorted(naming["strength"].unique()), labels_in_order(naming["x"])
    axes = panels(len(strengths), width=2.1, height=1.7)
    arms, layers = arms_of(naming), _layers_shown(naming)
    for ax, strength in zip(axes, strengths, strict=True):
        at = naming[naming["strength"] == strength]
        bands(ax, written)
        ax.axhline(at["chance"].iloc[0], color="#555555", linestyle=":", label="chance")
        ax.axhline(at["habit"].mean(), color="#999999", linestyle="--", label="habit without injection")
        for place, (arm, layer) in enumerate(product(arms, layers)):
            line = at[(at["arm"] == arm) & (at["y"] == layer)]
            beside = {"place": place, "of": len(arms) * len(layers), "slots": len(xs)}
            points(ax, line.assign(x=line["x"].map(xs.index)), **beside, **_look(arm, layer, layers))
        _loop_ticks(ax, xs)
        ax.set(title=f"strength {strength:g}", ylabel="rate of the right concept", ylim=(-0.02, 1.02))
    label_outer(axes)
    legend(axes)
    said = f"{_layers_said(layers, naming)}bars: 95% intervals over concepts"
    caption(axes, f"{said}; n = {span_of(naming['n'])} per point")
    return axes


@matplotlib.rc_context(STYLE)
def timing_by_loop(timing: pd.DataFrame) -> list[Axes]:
    """Draw when the noticing shows against the loop of the injection, of the strongest dose, a panel a measure."""
    shown = injected(timing)
    shown = shown[shown["strength"] == shown["strength"].max()]
    shown = shown.assign(x=loop_labels(shown), y=layer_labels(shown))
    measures, xs = list(dict.fromkeys(shown["measure"])), labels_in_order(shown["x"])
    axes, layers = panels(len(measures), width=2.3, height=1.7, same_scale=False), _layers_shown(shown)
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(layers)))
    for ax, measure in zip(axes, measures, strict=True):
        for place, layer in enumerate(layers):
            line = shown[(shown["measure"] == measure) & (shown["y"] == layer)]
            line = line.assign(x=line["x"].map(xs.index), rate=line["mean"])
            look = {"color": shades[place], "marker": MARKERS[place % len(MARKERS)], "linestyle": "none"}
            points(ax, line, place=place, of=len(layers), slots=len(xs), label=f"layer {layer}", **look)
        _loop_ticks(ax, xs)
        ax.set(ylabel=TIMES[measure])
    label_outer(axes, same_scale=False)
    legend(axes)
    counts = f"n = {span_of(shown['n'])} concepts" if "n" in shown else ""
    some = f"layers {', '.join(layers)} of {shown['y'].nunique()}" if shown["y"].nunique() > len(layers) else ""
    said = f"of trials that got there, strength {shown['strength'].iloc[0]:g}; t intervals over concepts"
    caption(axes, "; ".join(filter(None, (said, some, counts))))
    return axes


@matplotlib.rc_context(STYLE)
def agreement_points(agreement: pd.DataFrame) -> list[Axes]:
    """Draw Cohen's kappa of every two graders with its interval, a line per measure."""
    names = agreement["first"] + " / " + agreement["second"] + ": " + agreement["measure"]
    axes = _lines(
        agreement.assign(name=names, rate=agreement["kappa"]), "Cohen's kappa (1: always agree)", (-0.05, 1.05)
    )
    caption(axes, f"bars: 95% intervals; n = {span_of(agreement['n'])} answers")
    return axes


@matplotlib.rc_context(STYLE)
def capability_points(capability: pd.DataFrame) -> list[Axes]:
    """Draw accuracy and mass for each kind of answer, with nothing injected unless it is said, beside their floors."""
    other = capability["answers"] + " (" + capability["judged_arm"].replace(ARM_LABELS) + ")"
    kind = capability["answers"].where(capability["judged_arm"] == "none", other)
    where = kind + ", " + capability["grader"] + ", " + capability["n_loops"].astype("str") + " loops"
    mass = pd.DataFrame({"rate": capability["mass"], "low": capability["mass_low"], "high": capability["mass_high"]})
    axes = _lines(
        pd.concat(
            [capability.assign(name="right: " + where, rate=capability["accuracy"]), mass.assign(name="mass: " + where)]
        ),
        "share right, or probability mass",
        (-0.02, 1.02),
    )
    for floor, style, label in (
        (ACCURACY_FLOOR, ":", "floor of right answers"),
        (MASS_FLOOR, "--", "floor of the mass"),
    ):
        axes[0].axvline(floor, color="#555555", linestyle=style, label=label)
    legend(axes)
    caption(axes, f"can the model answer? bars: 95% intervals; n = {span_of(capability['n'])} answers")
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


def _lines(rows: pd.DataFrame, label: str, limits: tuple[float, float] | None) -> list[Axes]:
    """Draw values with intervals, one below the other."""
    rows = rows.dropna(subset="rate").reset_index(drop=True)
    if rows.empty:
        raise AbsentError("no row has a value")
    names = [wrapped(name, NAME_WIDTH, STYLE["ytick.labelsize"]) for name in rows["name"]]
    height = 0.35 + sum(0.1 + 0.12 * (name.count("\n") + 1) for name in names)
    axes = panels(1, width=5.0, height=height)
    bars = np.clip([rows["rate"] - rows["low"], rows["high"] - rows["rate"]], 0, None)
    axes[0].errorbar(rows["rate"], rows.index, xerr=bars, fmt="o", color=COLOURS["injected"], capsize=2, elinewidth=0.8)
    axes[0].set_yticks(rows.index, names)
    axes[0].set(xlabel=label, ylim=(len(rows) - 0.5, -0.5))
    if limits is not None:
        axes[0].set_xlim(limits)
    return axes


def _look(arm: str, layer: str, layers: list[str]) -> dict[str, Any]:  # Any: what matplotlib takes
    """Return how the points of an arm and a layer are drawn: unjoined, the first layer darkest; it is in the legend."""
    place = layers.index(layer)
    paler = {"linestyle": "none", "alpha": 1 - 0.6 * place / len(layers)}
    return arm_look(arm) | paler | ({"label": None} if place else {})


def _layers_shown(rows: pd.DataFrame) -> list[str]:
    return spread_of(labels_in_order(rows["y"]), LAYERS_BESIDE)


def _layers_said(layers: list[str], rows: pd.DataFrame) -> str:
    """Say which points are of which layer, where there are several."""
    if len(layers) == 1:
        return ""
    few = f" of {rows['y'].nunique()}" if rows["y"].nunique() > len(layers) else ""
    return f"within an arm a point per layer, from left to right {', '.join(layers)}{few}; "


def _loop_ticks(ax: Axes, xs: list[str]) -> None:
    ax.set_xticks(range(len(xs)), xs)
    ax.set(xlabel="loop of the injection", xlim=(-0.5, len(xs) - 0.5))
