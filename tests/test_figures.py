"""Figures show each row of a table once, and nothing that is not in it."""

import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from made import fill, new_store, response, trial, trial_at
from matplotlib.figure import Figure

from introspect.records.response import Grade
from introspect.results.figures.all_figures import FIGURES, draw_all, rates_by_loop, write_figures
from introspect.results.figures.layout import figure_of
from introspect.results.figures.map_grid import NO_RATE
from introspect.results.figures.maps import rate_map, readout_map
from introspect.results.statistics import wilson
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.store.csv_files import write_figure
from introspect.results.tables.all_tables import make_tables
from introspect.results.tables.trials.absence import Made


def counted(rows: list[tuple]) -> pd.DataFrame:
    """Make a table of detection rates from (arm, loop, layer, strength, k, n)."""
    table = pd.DataFrame(rows, columns=["arm", "loop", "layer", "strength", "k", "n"])
    table = table.astype({"loop": "Int64", "layer": "Int64", "strength": "float64"}).assign(measure="detected")
    low, high = wilson(table["k"], table["n"])
    table = table.assign(rate=(table["k"] / table["n"].where(table["n"] > 0)), low=low, high=high, note=None)
    return table.assign(concepts=table["n"], independent=table["n"].astype("float64"))


@pytest.fixture
def rates() -> pd.DataFrame:
    cells = product(("injected", "random"), range(3), range(5), (1.0, 2.0))
    rows = [(arm, loop, layer, strength, loop + layer, 10) for arm, loop, layer, strength in cells]
    return counted([*rows, ("none", None, None, None, 3, 100)])


def labels(ax) -> dict[tuple[float, float], str]:
    return {(text.get_position()[0] - 0.5, text.get_position()[1] - 0.5): text.get_text() for text in ax.texts}


def test_a_map_has_one_annotated_cell_per_row_at_its_place(rates: pd.DataFrame) -> None:
    axes = rate_map(rates, "detected")
    assert [ax.get_title() for ax in axes] == ["strength 1", "strength 2"]
    for ax in axes:
        assert labels(ax) == {(loop, layer): f"{(loop + layer) / 10:.2f}" for loop in range(3) for layer in range(5)}
        assert ax.get_ylim() == (0, 5)


def test_the_colours_of_rates_are_fixed_from_0_to_1(rates: pd.DataFrame) -> None:
    for ax in rate_map(rates, "detected"):
        assert ax.collections[0].get_clim() == (0, 1)


def test_a_cell_without_answers_is_blank_and_says_so(rates: pd.DataFrame) -> None:
    rates.loc[0, ["k", "n", "rate", "low", "high"]] = [0, 0, np.nan, np.nan, np.nan]
    axes = rate_map(rates, "detected")
    assert labels(axes[0])[0, 0] == NO_RATE
    assert axes[0].collections[0].get_array().mask.sum() == 1
    assert f"hatched: no graded answer ({NO_RATE})" in figure_of(axes).get_supxlabel().replace("\n", " ")


def test_a_map_of_a_model_that_cannot_answer_says_so(rates: pd.DataFrame) -> None:
    mute = rates.assign(note=CANNOT_ANSWER, rate=np.nan)
    axes = rate_map(mute, "detected")
    assert {text for ax in axes for text in labels(ax).values()} == {NO_RATE}
    assert "the model cannot answer such questions" in figure_of(axes).get_supxlabel().replace("\n", " ")


def test_the_caption_has_n_and_the_controls(rates: pd.DataFrame) -> None:
    said = figure_of(rate_map(rates, "detected")).get_supxlabel().replace("\n", " ")
    assert said == (
        "n = 10 per cell; no injection: 3 of 100; random direction over loops, layers and strengths: 90 of 300"
    )


def test_two_rows_for_one_cell_are_refused_not_overdrawn(rates: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="duplicate"):
        rate_map(pd.concat([rates, rates]), "detected")


def test_lines_show_rates_intervals_and_controls(rates: pd.DataFrame) -> None:
    loops = rates[(rates["layer"] == 1) | (rates["arm"] == "none")]
    (first, _) = rates_by_loop(loops, "detected")
    bars, _ = first.containers
    assert list(bars.lines[0].get_ydata()) == pytest.approx([0.1, 0.2, 0.3])
    ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    injected = loops[(loops["arm"] == "injected") & (loops["strength"] == 1)]
    np.testing.assert_allclose(ends, injected[["low", "high"]])
    assert [text.get_text() for text in figure_of([first]).legends[0].get_texts()] == [
        *("no injection", "concept vector", "random direction")
    ]


def test_the_map_of_readouts_is_centred_on_0_and_has_the_control_beside() -> None:
    rows = [("injected", loop, 2.0, read, loop - 4.0, 5) for loop in range(2) for read in range(3)]
    rows += [("none", None, np.nan, read, 1.0, 5) for read in range(3)]
    table = pd.DataFrame(rows, columns=["arm", "loop", "strength", "readout_loop", "mean", "n"])
    (ax,) = readout_map(table.astype({"loop": "Int64"}))
    assert ax.collections[0].get_clim() == (-4, 4)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["none", "0", "1"]
    assert labels(ax)[0, 2] == "+1.0"
    assert labels(ax)[1, 0] == "\N{MINUS SIGN}4.0"


def test_a_factor_that_varies_gives_a_figure_each_with_its_controls(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        fill(store, [trial_at(0, 0, n_loops=2), trial_at(0, 0, n_loops=4), trial(arm="none", n_loops=2)])
        figures = draw_all(make_tables(store)).made
    assert {name for name in figures if name.startswith("detection_map")} == {
        *("detection_map_n_loops=2", "detection_map_n_loops=4")
    }
    assert "no injection: 1 of 1" in figures["detection_map_n_loops=2"].get_supxlabel()
    assert "no injection" not in figures["detection_map_n_loops=4"].get_supxlabel()


def test_a_question_that_is_asked_without_an_injection_only_is_in_no_control_of_another(tmp_path: Path) -> None:
    choice = {"protocol": "choose", "question": "choose", "template": "choose", "options": ("a", "b", "c", "d")}
    plain = {"protocol": "choose", "question": "unrelated", "template": "unrelated", "expected": "yes"}
    with new_store(tmp_path) as store:
        asked = [trial_at(0, 0, expected="a", **choice), trial(arm="none", expected="a", **choice)]
        asked += [replace(trial(arm="none", **plain), repeat=repeat) for repeat in range(9)]
        grades = [
            Grade(one.id, "rules", "1", None, None, True, False, "", correct=place > 1)
            for place, one in enumerate(asked)
        ]
        store.add([(one, response(one)) for one in asked], grades)
        tables = make_tables(store)
    assert set(tables["rates"]["question"]) == {"choose", "unrelated"}
    said = draw_all(tables).made["correct_map"].get_supxlabel().replace("\n", " ")
    assert "no injection: 0 of 1" in said


@pytest.mark.parametrize(("unknown", "drawn"), [(0, False), (1, False), (2, True), (10, True)])
def test_unknown_answers_have_a_map_where_more_than_one_in_ten_is(tmp_path: Path, unknown: int, *, drawn: bool) -> None:
    verdicts = [None] * unknown + [True] * (10 - unknown)
    with new_store(tmp_path) as store:
        fill(store, [trial_at(0, 0, repeat=repeat) for repeat in range(10)], verdicts)
        fill(store, [trial_at(1, 0, repeat=repeat) for repeat in range(10)], False)
        figures = draw_all(make_tables(store)).made
    assert ("unknown_map" in figures) == drawn
    if drawn:
        assert labels(figures["unknown_map"].axes[0]) == {(0, 0): f"{unknown / 10:.2f}", (1, 0): "0.00"}
        assert "n = 10 answers per cell" in figures["unknown_map"].get_supxlabel()


def test_a_figure_that_was_written_is_laid_out_as_before(tmp_path: Path) -> None:
    figure = Figure(layout="constrained")
    engine, _ = figure.get_layout_engine(), figure.subplots(2, 2)
    write_figure(tmp_path, "one", figure)
    assert figure.get_layout_engine() is engine
    figure.set_size_inches(3, 2)
    figure.draw_without_rendering()


@pytest.mark.usefixtures("published_figures")
def test_every_figure_is_written_as_png_and_pdf_and_no_setting_stays(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    with new_store(tmp_path) as store:
        fill(store, [trial_at(loop, layer) for loop in range(2) for layer in range(2)])
        fill(store, [trial(arm="none"), trial_at(0, 0, arm="random")], None)
        paths = write_figures(store)
    drawn = {"detection_map", "identification_map", "detection_by_loop", "identification_by_loop"}
    drawn |= {"dose_response", "readout_map", "timing", "unknown_map"}
    assert {path.name for path in paths} == {f"{name}.{suffix}" for name in drawn for suffix in ("png", "pdf")}
    assert drawn < set(FIGURES)
    assert sorted(paths) == sorted((tmp_path / "figures").iterdir())
    assert all(b"/FontFile2" in path.read_bytes() for path in paths if path.suffix == ".pdf")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    "name",
    [
        "detection_map_template=detect",
        "detection_map_n_loops=4",
        "loops_run",
    ],
)
def test_a_figure_that_a_run_no_longer_has_is_removed_and_what_is_not_ours_stays(tmp_path: Path, name: str) -> None:
    with new_store(tmp_path) as store:
        (tmp_path / "figures").mkdir()
        for there in (name, "mine", "detection_map_of_mine"):
            (tmp_path / "figures" / f"{there}.png").touch()
        assert write_figures(store, Made()) == []
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"mine", "detection_map_of_mine"}


def test_a_run_without_injected_trials_has_no_figures(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        fill(store, [trial(arm="none")])
        assert write_figures(store) == []


def test_results_need_no_torch_and_no_window() -> None:
    said = "import introspect.results.figures.all_figures, sys; "
    said += "print({'torch', 'nnsight', 'matplotlib.pyplot'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", said], text=True) == "set()\n"
