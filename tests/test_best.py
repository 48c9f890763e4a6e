"""The best cell is chosen on one half of the concepts and reported on the other, beside the controls there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commanded import introspect, refused
from graded import by_arm, grader, run, trials
from made import plain_pair, response

from introspect.records.response import Response
from introspect.records.trial import Trial
from introspect.results.statistics.split_selection import best_cell
from introspect.results.store.store import Store
from introspect.results.tables.effects.best_cell import best_cells
from introspect.results.tables.trials.narrow_trials import narrow_trials


def site(one: Trial) -> int:
    return -1 if one.injection is None else one.injection.sites[0].loop


def share(one: Trial) -> bool:
    """Detect 90% of what is injected in loop 1, 20% elsewhere, and 10% of random vectors."""
    often = 0.1 if one.arm == "random" else 0 if one.arm == "none" else 0.9 if site(one) == 1 else 0.2
    return int(one.id, 16) % 991 < 991 * often


def read(folder: Path) -> pd.DataFrame:
    with Store.open(folder) as store:
        return narrow_trials(store)


def test_the_planted_cell_is_found_and_reported_beside_its_controls(tmp_path: Path) -> None:
    found = best_cells(read(run(tmp_path / "run", trials(concepts=60), grader("rules", share))), "rules")
    row = found.set_index("measure").loc["detected"]
    assert (row["loop"], row["cells"], row["concepts"]) == (1, 3, 30)
    assert row["value_low"] < 0.9 < row["value_high"]
    assert row["random"] == pytest.approx(0.1, abs=0.12)
    assert row["none"] == 0
    assert 0 < row["none_high"] < 0.2  # that of 30 concepts, not of nothing at all


def test_values_and_controls_are_those_of_the_half_that_did_not_choose(tmp_path: Path) -> None:
    # what a random vector does hangs on the concept, so that the halves differ
    verdict = grader("rules", lambda one: one.concept < "concept2" if one.arm == "random" else share(one))
    frame = read(run(tmp_path / "run", trials(concepts=24), verdict))
    row = best_cells(frame, "rules").set_index("measure").loc["detected"]
    here = frame[(frame["loop"] == row["loop"]) & (frame["arm"] == "injected")]
    both = (row["chosen"] + row["value"]) / 2
    assert both == pytest.approx(here["rules_detected"].astype(float).mean())
    values = frame[frame["arm"] == "injected"].assign(value=frame["rules_detected"])
    others = best_cell(values, "value", cell=("loop", "layer", "strength")).held_out_concepts
    beside = frame[(frame["loop"] == row["loop"]) & (frame["arm"] == "random") & frame["concept"].isin(others)]
    assert len(others) == len(beside) == 12
    assert row["random"] == beside["rules_detected"].astype(float).mean()


def test_of_noise_the_half_that_chose_looks_better_than_the_other(tmp_path: Path) -> None:
    noise = grader("rules", lambda one: int(one.id, 16) % 2 == 0)
    frame = read(run(tmp_path / "run", trials(concepts=20, loops=12), noise))
    found = [best_cells(frame, "rules", seed=seed).iloc[0] for seed in range(12)]
    assert np.mean([row["chosen"] for row in found]) > 0.65
    assert np.mean([row["value"] for row in found]) < 0.6


def test_a_cell_is_also_chosen_by_the_primary_contrast(tmp_path: Path) -> None:
    plain = {
        (number, answer): ({**fields}, clean)
        for number in range(10)
        for fields, clean in plain_pair(number)
        for answer in (fields["expected"],)
    }
    made = trials(concepts=20)
    for one in tuple(made):
        number = int(one.concept.removeprefix("concept")) % 10
        made += [replace(one, **plain[number, answer][0]) for answer in ("yes", "no")]

    def answered(one: Trial) -> Response:
        planted = 3.0 if site(one) == 2 and by_arm(one) and one.question == "detect" else 0.0
        planted += sum(clean for fields, clean in plain.values() if fields["variables"] == one.variables)
        return response(one, difference=planted + int(one.id, 16) % 100 / 100)

    folder = run(tmp_path / "run", made[:0], grader("rules", by_arm))
    with Store.open(folder, write=True) as store:
        store.add([(one, answered(one)) for one in made], [grader("rules", share, correct=True)(one) for one in made])
    found = best_cells(read(folder), "rules").set_index(["question", "measure"])
    assert set(found.index) == {("detect", "contrast"), ("detect", "detected"), ("detect", "identified")}
    row = found.loc[("detect", "contrast")]
    assert row["loop"] == 2
    assert row["value_low"] < 3 < row["value_high"]
    assert np.isnan(row["none"])  # a contrast holds its controls in it


def test_a_choice_is_chosen_by_what_is_correct(tmp_path: Path) -> None:
    asked = trials(concepts=20, question="choose", options=("a", "b"), expected="a")
    right = [lambda one: grader("rules", lambda _: None, correct=site(one) == 0)(one)]
    found = best_cells(read(run(tmp_path / "run", asked, *right)), "rules")
    assert list(found["measure"]) == ["correct"]
    assert found.loc[0, ["loop", "value"]].tolist() == [0, 1]


def test_the_command_prints_both_halves_and_writes_the_table(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", trials(concepts=20), grader("rules", share))
    code, out, err = introspect("best", folder)
    assert (code, err) == (0, "")
    assert "half that chose" in out
    assert "held-out half" in out
    assert "report the held-out half; the half that chose is an optimist" in out
    written = pd.read_csv(folder / "tables" / "best.csv")
    assert list(written["measure"]) == ["detected", "identified"]
    assert introspect("best", folder)[1] == out
    assert introspect("best", folder, "--seed", 1)[1] != out


def test_too_few_concepts_are_refused_with_how_many_are_needed(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", trials(concepts=9), grader("rules", share))
    assert "9 concepts are too few to choose a cell on half" in refused("best", folder)
    assert "at least 10 are needed" in refused("best", folder)
    assert not (folder / "tables").exists()


def test_a_run_without_verdicts_or_without_the_grader_is_refused(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", trials(concepts=10), grader("rules", lambda _: None))
    assert "nothing to choose a cell by: rules has no verdict on an injected trial" in refused("best", folder)
    assert "unknown grader of" in refused("best", folder, "--grader", "judge")
    assert "no run here" in refused("best", tmp_path / "none")


def test_a_cell_that_the_held_out_half_lacks_is_reported_without_a_value(tmp_path: Path) -> None:
    own = grader("rules", lambda one: True if one.concept == f"concept{site(one)}" else None)
    folder = run(tmp_path / "run", trials(concepts=12, loops=12), own)
    row = best_cells(read(folder), "rules").set_index("measure").loc["detected"]
    assert row["concepts"] == 0
    assert row[["value", "value_low", "value_high"]].isna().all()
    code, out, err = introspect("best", folder)
    assert (code, err) == (0, "")
    assert "held-out half" in out
