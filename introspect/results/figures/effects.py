"""Figures of what a run allows to infer: contrasts, naming, timing, control, agreement, capability.

In goes the table of the same name, out come axes.
"""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

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
    ARM_MARKERS,
    COLOURS,
    STYLE,
    caption,
    injected,
    label_outer,
    labels_in_order,
    layer_labels,
    legend,
    loop_labels,
    panels,
    points,
    span_of,
)
from introspect.results.statistics.capability import ACCURACY_FLOOR, MASS_FLOOR

SIGNIFICANT = 0.05
MARKED = f"bold: p < {SIGNIFICANT:g} in both tests, corrected for the whole map"
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
    said = [written.format(row["mean"], row["low"], row["high"]) for _, row in overall.iterrows()]
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
    arms = [arm for arm in ARM_LABELS if (shown["arm"] == arm).any()]
    axes = panels(len(measures), width=2.1, height=2.0, same_scale=False)
    for ax, measure in zip(axes, measures, strict=True):
        for place, arm in enumerate(arms):
            line = shown[(shown["measure"] == measure) & (shown["arm"] == arm)]
            shift = 0.7 * (
                (place + line["y"].map(labels_in_order(shown["y"]).index) / shown["y"].nunique()) / len(arms) - 0.5
            )
            look = {"color": COLOURS[arm], "marker": ARM_MARKERS[arm], "linestyle": "none"}
            points(ax, line.assign(x=line["x"].map(xs.index) + shift), label=ARM_LABELS[arm], **look)
        ax.axhline(0, color="#555555", linewidth=0.6)
        ax.set_xticks(range(len(xs)), xs)
        ax.set(xlabel="loop of the injection", ylabel=PLAIN_SHIFTS[measure])
    legend(axes)
    said = "plain questions, nothing to notice; one point per layer, the first leftmost; t intervals over concepts"
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
    axes = _lines(shown.assign(name=said + ": " + shown["effect"]), f"first and third person ({label})", None)
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
    axes = panels(len(strengths), width=2.1, height=1.9)
    for ax, strength in zip(axes, strengths, strict=True):
        at = naming[naming["strength"] == strength]
        arms = [arm for arm in ARM_LABELS if (at["arm"] == arm).any()]
        for arm in arms:
            part = at[at["arm"] == arm]
            layers = labels_in_order(part["y"])
            for place, layer in enumerate(layers):
                shift = 0.12 * (place - (len(layers) - 1) / 2)
                line = part[part["y"] == layer].assign(x=lambda rows, shift=shift: rows["x"].map(xs.index) + shift)
                look = {"color": COLOURS[arm], "alpha": 1 - 0.6 * place / len(layers), "linestyle": "none"}
                points(ax, line, marker=ARM_MARKERS[arm], label=ARM_LABELS[arm] if place == 0 else None, **look)
        for _, row in written.iterrows():  # the concept in the text, at no site
            ax.axhline(row["rate"], color=COLOURS[row["arm"]], label=ARM_LABELS[row["arm"]])
        ax.axhline(at["chance"].iloc[0], color="#555555", linestyle=":", label="chance")
        ax.axhline(at["habit"].mean(), color="#999999", linestyle="--", label="habit without injection")
        ax.set_xticks(range(len(xs)), xs)
        ax.set(
            title=f"strength {strength:g}", xlabel="loop of the injection", ylabel="right concept", ylim=(-0.02, 1.02)
        )
    label_outer(axes)
    legend(axes)
    caption(
        axes, f"one point a layer, the first darkest; bars: 95% intervals over concepts; n = {span_of(naming['n'])}"
    )
    return axes


@matplotlib.rc_context(STYLE)
def timing_by_loop(timing: pd.DataFrame) -> list[Axes]:
    """Draw when the noticing shows against the loop of the injection, of the strongest dose, a panel a measure."""
    shown = injected(timing)
    shown = shown[shown["strength"] == shown["strength"].max()]
    shown = shown.assign(x=loop_labels(shown), y=layer_labels(shown))
    measures, xs = list(dict.fromkeys(shown["measure"])), labels_in_order(shown["x"])
    axes = panels(len(measures), width=2.6, height=2.0, same_scale=False)
    for ax, measure in zip(axes, measures, strict=True):
        rows = shown[shown["measure"] == measure]
        layers = labels_in_order(rows["y"])
        for layer, shade in zip(layers, colormaps["viridis"](np.linspace(0, 0.85, len(layers))), strict=True):
            line = rows[rows["y"] == layer].assign(
                x=lambda part: part["x"].map(xs.index), rate=lambda part: part["mean"]
            )
            points(ax, line, color=shade, marker="o", linestyle="none", label=f"layer {layer}")
        ax.set_xticks(range(len(xs)), xs)
        ax.set(xlabel="loop of the injection", ylabel=TIMES[measure], ylim=(-0.1, None))
    legend(axes)
    counts = f"n = {span_of(shown['n'])} concepts" if "n" in shown else ""
    said = f"of trials that got there, strength {shown['strength'].iloc[0]:g}; t intervals over concepts"
    caption(axes, "; ".join(filter(None, (said, counts))))
    return axes


@matplotlib.rc_context(STYLE)
def agreement_points(agreement: pd.DataFrame) -> list[Axes]:
    """Draw Cohen's kappa of every two graders with its interval, a line per measure."""
    names = agreement["first"] + " / " + agreement["second"] + ": " + agreement["measure"]
    return _lines(agreement.assign(name=names, rate=agreement["kappa"]), "Cohen's kappa", (-0.05, 1.05))


@matplotlib.rc_context(STYLE)
def capability_points(capability: pd.DataFrame) -> list[Axes]:
    """Draw accuracy and mass for each kind of answer, with nothing injected unless it is said, beside their floors."""
    kind = capability["answers"].where(
        capability["judged_arm"] == "none", capability["answers"] + " (" + capability["judged_arm"] + ")"
    )
    where = kind + ", " + capability["grader"] + ", " + capability["n_loops"].astype("str") + " loops"
    mass = pd.DataFrame({"rate": capability["mass"], "low": capability["mass_low"], "high": capability["mass_high"]})
    axes = _lines(
        pd.concat(
            [capability.assign(name="right: " + where, rate=capability["accuracy"]), mass.assign(name="mass: " + where)]
        ),
        "can the model answer?",
        (-0.02, 1.02),
    )
    for floor, style, label in (
        (ACCURACY_FLOOR, ":", "floor of right answers"),
        (MASS_FLOOR, "--", "floor of the mass"),
    ):
        axes[0].axvline(floor, color="#555555", linestyle=style, label=label)
    legend(axes)
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
    axes = panels(1, width=5.0, height=0.3 + 0.22 * max(1, len(rows)))
    bars = np.clip([rows["rate"] - rows["low"], rows["high"] - rows["rate"]], 0, None)
    axes[0].errorbar(rows["rate"], rows.index, xerr=bars, fmt="o", color=COLOURS["injected"], capsize=2, elinewidth=0.8)
    axes[0].set_yticks(rows.index, rows["name"])
    axes[0].set(xlabel=label, ylim=(len(rows) - 0.5, -0.5))
    if limits is not None:
        axes[0].set_xlim(limits)
    return axes
