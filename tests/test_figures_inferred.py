"""Figures of what is inferred show the numbers of their tables, what is significant, and what they are held against."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from introspect.records.trial import ARMS
from introspect.results.figures.all_figures import FIGURES, draw_all
from introspect.results.figures.curves import loops_run, rates_by_loop
from introspect.results.figures.effect_maps import contrast_map, control_map
from introspect.results.figures.effects import compression_by_loop, naming_by_loop, timing_by_loop
from introspect.results.figures.layout import figure_of
from introspect.results.figures.map_grid import MINUS
from introspect.results.figures.maps import extract_map
from introspect.results.figures.style import ARM_LABELS, ARM_MARKERS, COLOURS
from introspect.results.figures.value_rows import agreement_points, capability_points, third_person_points


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Make a table whose places are whole numbers that may be missing."""
    made = pd.DataFrame(rows)
    return made.astype({name: "Int64" for name in ("loop", "layer", "n_loops", "extract_loop") if name in made})


def contrasts() -> pd.DataFrame:
    spread = {"low": -1.0, "high": 2.0, "n": 9, "effect": "contrast", "template": "detect"}
    cells = [
        {
            "loop": loop,
            "layer": layer,
            "strength": 2.0,
            "mean": loop - 0.5 * layer,
            "p_map": 0.01 if loop else 0.5,
            "p_student_map": 0.02,
        }
        for loop in range(2)
        for layer in range(3)
    ]
    overall = {"loop": None, "layer": None, "strength": np.nan, "mean": 0.25, "p_map": np.nan, "p_student_map": np.nan}
    return table([{**spread, **row} for row in (overall, *cells)])


def compression() -> pd.DataFrame:
    spread = {"low": -2.0, "high": 2.0, "n": 9, "question": "unrelated", "strength": 2.0}
    places = [
        (measure, arm, loop) for measure in ("slope", "entropy") for arm in ("random", "injected") for loop in (0, 1)
    ]
    cells = [
        {"measure": m, "arm": arm, "loop": loop, "layer": 1, "mean": 0.5 * loop - (arm == "random")}
        for m, arm, loop in places
    ]
    weaker = {**spread, **cells[0], "strength": 1.0, "mean": 9.0}
    return table(
        [{**weaker, "strength": np.nan, "loop": None, "layer": None}, weaker, *({**spread, **each} for each in cells)]
    )


def control() -> pd.DataFrame:
    rows = [
        {"pair": "all", "loop": 0, "layer": layer, "mean": 0.01 * layer, "p_map": 0.5, "p_student_map": 0.5, "n": 8}
        for layer in (0, 1)
    ]
    return table(rows)


def naming() -> pd.DataFrame:
    rate = {"layer": 0, "strength": 1.0, "low": 0.1, "high": 0.9, "chance": 0.25, "habit": 0.3, "n": 12}
    rows = [{"arm": arm, "loop": loop, "rate": 0.4 + 0.1 * loop} for arm in ("injected", "wrong") for loop in (0, 1)]
    return table([{**rate, **row, "question": "choose", "grader": "rules"} for row in rows])


def timing() -> pd.DataFrame:
    rows = [
        {"measure": measure, "grader": grader, "arm": "injected", "loop": loop, "layer": 0, "strength": strength}
        for measure, grader in (("first_yes", None), ("tokens", "rules"))
        for loop in (0, 1)
        for strength in (1.0, 4.0)
    ]
    spread = {"low": 0.0, "high": 9.0, "median": 1.0, "n": 5, "never": 1}
    return table([{**row, **spread, "mean": row["loop"] + row["strength"]} for row in rows])


def agreement() -> pd.DataFrame:
    row = {"first": "judge", "second": "rules", "low": 0.2, "high": 0.8, "n": 20}
    return pd.DataFrame(
        [{**row, "measure": measure, "kappa": k} for measure, k in (("detected", 0.5), ("refused", 0.6))]
    )


def capability() -> pd.DataFrame:
    row = {"grader": "rules", "accuracy": 0.9, "low": 0.8, "high": 0.95, "mass": 0.7, "mass_low": 0.6, "mass_high": 0.8}
    return table([{**row, "n_loops": 3, "answers": "yes or no", "judged_arm": "none", "n": 20}])


def third_person() -> pd.DataFrame:
    fixed = {"template": "detect", "third": "third-person", "low": -1.0, "high": 2.0, "n": 9, "strength": np.nan}
    effects = (("first person", 1.5), ("third person", 1.0), ("excess", 0.5))
    rows = [{**fixed, "measure": "contrast", "effect": name, "mean": mean} for name, mean in effects]
    return table([*rows, {**rows[0], "strength": 2.0, "mean": 9.0}, {**rows[0], "measure": "detected", "mean": 0.2}])


def loops(**factor: list[int]) -> pd.DataFrame:
    ((name, values),) = factor.items()
    fixed = {"arm": "injected", "strength": 1.0, "measure": "detected", "low": 0.0, "high": 1.0, "n": 10, "k": 1}
    fixed |= {"concepts": 10, "independent": 10.0, "note": None}
    return table(
        [{**fixed, "loop": loop, name: value, "rate": (loop + value) / 10} for loop in (0, 1) for value in values]
    )


TABLES = {
    "contrast_map": ("contrasts", contrasts()),
    "compression": ("compression", compression()),
    "control_map": ("control", control()),
    "naming": ("naming", naming()),
    "timing": ("timing", timing()),
    "agreement": ("agreement", agreement()),
    "capability": ("capability", capability()),
    "third_person": ("third_person", third_person()),
    "extract_map": ("loops", loops(extract_loop=[0, 2])),
    "loops_run": ("loops", loops(n_loops=[2, 4])),
}


def labels(ax: Axes) -> dict[tuple[int, int], str]:
    return {(int(x), int(y)): text.get_text() for text in ax.texts for x, y in [text.get_position()]}


def said(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def values(ax: Axes) -> list[float]:
    """Return the heights of the points that have bars, sorted."""
    return sorted(float(y) for bars in ax.containers for y in bars.lines[0].get_ydata())


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_a_run_has_is_drawn_and_one_that_it_has_not_is_left_out(name: str) -> None:
    where, rows = TABLES[name]
    assert FIGURES[name][0] == where
    assert name in draw_all({where: rows}).made
    assert draw_all({where: rows.iloc[:0]}).made == {}


def test_contrasts_stand_at_their_site_the_overall_one_in_the_caption_and_what_is_significant_is_bold() -> None:
    (ax,) = contrast_map(contrasts())
    assert labels(ax) == {(x, y): f"{x - 0.5 * y:+.1f}".replace("-", MINUS) for x in range(2) for y in range(3)}
    bold = {int(text.get_position()[0]) for text in ax.texts if text.get_fontweight() == "bold"}
    assert bold == {1}
    assert "over all cells +0.25 [-1.00, +2.00]" in said(figure_of([ax]))
    low, high = ax.collections[0].get_clim()
    assert low == -high


@pytest.mark.parametrize("passed", [(0.01, 0.2), (0.2, 0.01), (0.01, np.nan), (0.01, 0.01)])
def test_what_fails_one_of_two_tests_is_not_bold(passed: tuple[float, float]) -> None:
    cells = contrasts().assign(p_map=passed[0], p_student_map=passed[1])
    (ax,) = contrast_map(cells)[:1]
    strong = max(each for each in passed if not np.isnan(each)) < 0.05
    assert {text.get_fontweight() for text in ax.texts} == {"bold" if strong else "normal"}


def test_lines_of_plain_questions_are_drawn_of_the_strongest_dose_arm_by_arm() -> None:
    axes = compression_by_loop(compression())
    assert [ax.get_ylabel().split("\n")[0] for ax in axes] == ["slope of the shift", "change of entropy"]
    for ax in axes:
        assert values(ax) == pytest.approx([-1, -0.5, 0, 0.5])
    assert "strength 2; n = 9 concepts; compression.csv" in said(figure_of(axes))


def test_small_differences_of_cosines_are_not_rounded_away() -> None:
    (ax,) = control_map(control())
    assert labels(ax)[0, 1] == "+0.010"
    assert all(text.get_fontweight() == "normal" for text in ax.texts)


def test_naming_stands_beside_chance_and_habit() -> None:
    (ax,) = naming_by_loop(naming())
    assert values(ax) == pytest.approx([0.4, 0.4, 0.5, 0.5])
    lines = {line.get_label(): line.get_ydata()[0] for line in ax.lines if not line.get_label().startswith("_")}
    assert lines == {"chance": 0.25, "habit without injection": 0.3}


def test_timing_is_that_of_the_strongest_dose() -> None:
    first, second = timing_by_loop(timing())
    assert values(first) == values(second) == [4.0, 5.0]
    assert "strength 4" in said(figure_of([first]))


def test_agreement_and_capability_show_every_row_and_the_floors() -> None:
    (ax,) = agreement_points(agreement())
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["judge / rules: detected", "judge / rules: refused"]
    assert list(ax.containers[0].lines[0].get_xdata()) == [0.5, 0.6]
    (ax,) = capability_points(capability())
    assert list(ax.containers[0].lines[0].get_xdata()) == [0.9, 0.7]
    floors = {line.get_label(): line.get_xdata()[0] for line in ax.lines if "floor" in str(line.get_label())}
    assert floors == {"floor of right answers": 0.75, "floor of the mass": 0.5}


def test_the_loop_of_the_vector_is_crossed_with_that_of_the_injection() -> None:
    (ax,) = extract_map(loops(extract_loop=[0, 2]))
    assert labels(ax) == {(0, 0): "0.00", (1, 0): "0.10", (0, 1): "0.20", (1, 1): "0.30"}
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["0", "2"]


def test_the_loops_run_are_an_axis_with_a_line_for_each_loop_of_the_injection() -> None:
    (ax,) = loops_run(loops(n_loops=[2, 4]))
    drawn = {bars.get_label(): list(map(float, bars.lines[0].get_ydata())) for bars in ax.containers}
    assert drawn == {"injected in loop 0": [0.2, 0.4], "injected in loop 1": [0.3, 0.5]}


def test_the_loops_run_have_their_controls_beside_them_pooled_over_loops_of_the_injection() -> None:
    cells = loops(n_loops=[2, 4]).assign(k=lambda rows: rows["n_loops"])
    none = cells[cells["loop"] == 0].assign(arm="none", strength=np.nan, loop=None)
    (ax,) = loops_run(pd.concat([none, cells.assign(arm="random"), cells], ignore_index=True))
    drawn = {bars.get_label(): list(map(float, bars.lines[0].get_ydata())) for bars in ax.containers}
    assert drawn["no injection"] == drawn["random direction"] == [0.2, 0.4]
    assert len(drawn) == 4
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "4"]


def test_an_axis_with_one_value_is_no_figure() -> None:
    assert draw_all({"loops": loops(n_loops=[4])}).made.keys() & {"loops_run", "extract_map"} == set()


def test_the_excess_stands_below_the_two_persons_over_all_cells() -> None:
    (ax,) = third_person_points(third_person())
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names == ["contrast: first person", "contrast: third person", "contrast: excess"]
    assert list(ax.containers[0].lines[0].get_xdata()) == [1.5, 1.0, 0.5]
    assert ax.get_xlabel() == "effect of the injection (logits)"


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("width", "inches"), [("one", 3.4), ("two", 7.0)])
def test_a_figure_for_a_page_has_just_its_width_and_names_its_table(name: str, width: str, inches: float) -> None:
    where, rows = TABLES[name]
    figure = draw_all({where: rows}, width).made[name]
    assert figure.get_figwidth() == inches
    assert said(figure).count(f"{where}.csv") == 1


def test_a_figure_of_one_grader_says_so_in_words() -> None:
    both = pd.concat([loops(n_loops=[2, 4]).assign(grader=name) for name in ("rules", "judge")], ignore_index=True)
    made = draw_all({"loops": both}).made
    assert {"loops_run_grader=judge", "loops_run_grader=rules"} <= set(made)
    assert made["loops_run_grader=judge"].get_suptitle() == "graded by judge"


def test_arms_have_shapes_of_their_own_and_one_order() -> None:
    assert set(ARM_MARKERS) == set(COLOURS) == set(ARM_LABELS) == set(ARMS)
    assert len(set(ARM_MARKERS.values())) == len(set(COLOURS.values())) == len(ARMS)
    rows = pd.concat(
        [loops(n_loops=[4]).assign(arm=arm) for arm in ("wrong", "injected", "in-span", "random")], ignore_index=True
    )
    (ax,) = rates_by_loop(rows, "detected")
    shown = [text.get_text() for text in figure_of([ax]).legends[0].get_texts()]
    assert shown == [ARM_LABELS[arm] for arm in ("injected", "random", "in-span", "wrong")]
