"""Tables count what was answered, say what is missing, and never pool what varies."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import fill, grade, injection, new_store, response, trial, trial_at

from introspect.errors import InputError
from introspect.records.response import Grade
from introspect.records.trial import Sampling, Trial
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import (
    brief,
    loops_table,
    make_tables,
    rates,
    readouts_table,
    summaries,
    trials_table,
    write_brief,
    write_tables,
)
from introspect.results.tables.rates.rates import RATE


@pytest.fixture
def store(tmp_path: Path):
    with new_store(tmp_path / "run") as made:
        yield made


def cell(table: pd.DataFrame, measure: str = "detected", **where: object) -> pd.Series:
    """Pick the one row that is meant."""
    rows = table[table["measure"] == measure]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, f"{len(rows)} rows for {measure} {where}"
    return rows.iloc[0]


def repeats(count: int, **changes: object) -> list[Trial]:
    return [trial(repeat=repeat, **changes) for repeat in range(count)]


def test_a_row_holds_the_fields_of_its_trial_response_and_grade(store: Store) -> None:
    made = trial_at(1, 2, strength=0.5, seed=2**64 - 1)
    fill(store, [made], None)
    row = trials_table(store).iloc[0]
    assert (row["trial"], row["loop"], row["layer"], row["strength"], row["sites"]) == (made.id, 1, 2, 0.5, "1:2")
    assert (row["seed"], row["temperature"], row["state"]) == (2**64 - 1, 1.0, "done")
    assert (row["vector_norm"], row["residual_norm"], row["relative_norm"]) == (3.0, 12.0, 0.25)
    assert row["rules_detected"] is pd.NA
    assert row["rules_refused"] is np.False_


def test_a_row_says_what_was_answered_and_why_nothing_is_known(store: Store) -> None:
    answered, broken, ungraded = repeats(3)
    unknown = Grade(broken.id, "judge", "1", None, None, None, None, "no JSON", state="malformed")
    store.add([(one, response(one)) for one in (answered, broken, ungraded)])
    store.put_grades([grade(answered, grader="judge", answer="yes", correct=False, tokens=7), unknown])
    table = trials_table(store).set_index("trial")
    said = table[["judge_answer", "judge_correct", "judge_state"]]
    assert list(said.loc[answered.id]) == ["yes", False, "graded"]
    assert said.loc[broken.id].isna().tolist() == [True, True, False]
    assert said.loc[broken.id, "judge_state"] == "malformed"
    assert said.loc[ungraded.id].isna().all()
    assert table["judge_correct"].dtype == "boolean"
    assert table.loc[answered.id, "judge_tokens"] == 7
    assert table["judge_tokens"].isna().sum() == 2


def test_a_trial_without_injection_has_no_site_strength_or_norm(store: Store) -> None:
    fill(store, [trial(arm="none")])
    row = trials_table(store).iloc[0]
    missing = ["sites", "loop", "layer", "strength", "strength_unit", "vectors_hash", "vector_norm", "relative_norm"]
    assert row[missing].isna().all()


def test_the_order_of_rows_does_not_depend_on_the_order_of_running(tmp_path: Path) -> None:
    trials = [trial_at(loop, layer, arm=arm) for loop in (0, 1) for layer in (0, 1) for arm in ("random", "injected")]
    tables = []
    for name, order in (("a", 1), ("b", -1)):
        with new_store(tmp_path / name) as store:
            fill(store, trials[::order])
            tables.append(trials_table(store))
    pd.testing.assert_frame_equal(*tables)
    assert list(tables[0]["arm"]) == ["injected"] * 4 + ["random"] * 4


def test_unknown_is_neither_yes_nor_no(store: Store) -> None:
    fill(store, repeats(4), [True, False, None, None])
    row = cell(rates(trials_table(store)))
    assert (row["k"], row["n"], row["rate"], row["unknown"]) == (1, 2, 0.5, 2)


def test_an_ungraded_answer_is_unknown_and_an_error_is_counted_apart(store: Store) -> None:
    first, second, failed = repeats(3)
    fill(store, [first])
    store.add([(second, response(second))])
    store.add_errors([(failed, "out of memory")])
    table = trials_table(store)
    assert sorted(table["state"]) == ["done", "done", "error"]
    row = cell(rates(table))
    assert (row["k"], row["n"], row["unknown"], row["errors"]) == (1, 1, 1, 1)


def test_a_cell_without_verdicts_is_missing_not_0(store: Store) -> None:
    fill(store, repeats(3), None)
    row = cell(rates(trials_table(store)))
    assert (row["k"], row["n"], row["unknown"]) == (0, 0, 3)
    assert row[["rate", "low", "high"]].isna().all()


def test_both_needs_both_and_is_unknown_only_when_undecided(store: Store) -> None:
    trials = repeats(4)
    verdicts = [(True, True), (True, False), (False, None), (True, None)]
    grades = [Grade(one.id, "rules", "1", *said, True, False, "") for one, said in zip(trials, verdicts, strict=True)]
    store.add([(one, response(one)) for one in trials], grades)
    row = cell(rates(trials_table(store)), "both")
    assert (row["k"], row["n"], row["unknown"]) == (1, 3, 1)


def test_cells_are_counted_apart_and_controls_have_no_site(store: Store) -> None:
    fill(store, [trial_at(0, 1, strength=1.0), trial_at(0, 1, strength=2.0), trial_at(1, 1)], [True, False, False])
    fill(store, [trial(arm="none"), trial_at(0, 1, arm="random")], False)
    table = rates(trials_table(store))
    asked = ["arm", "loop", "layer", "strength", "measure", "k", "n", "concepts", "independent"]
    rest = ["rate", "low", "high", "unknown", "if_no", "if_yes", "errors", "note"]
    assert list(table.columns) == [*asked, *rest]
    assert cell(table, arm="injected", strength=1.0)["rate"] == 1
    assert cell(table, arm="injected", loop=0, strength=2.0)["rate"] == 0
    assert cell(table, arm="none")[["loop", "layer", "strength"]].isna().all()


def test_loops_pool_layers_and_add_up(store: Store) -> None:
    fill(store, [trial_at(loop, layer) for loop in (0, 1) for layer in range(4)], [True] * 3 + [False] * 5)
    table = trials_table(store)
    assert (cell(loops_table(table), loop=0)["k"], cell(loops_table(table), loop=0)["n"]) == (3, 4)
    assert loops_table(table)["n"].sum() == rates(table)["n"].sum()


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("template", {"template": "other", "template_hash": "t1"}),
        ("template_hash", {"template_hash": "t1"}),
        ("n_loops", {"n_loops": 2}),
        ("temperature", {"sampling": Sampling(temperature=0.0)}),
        ("extract_loop", {"injection": injection(extract_loop=3)}),
        ("strength_unit", {"injection": injection(unit="residual")}),
        ("weights_hash", {"weights_hash": "w1"}),
    ],
)
def test_what_varies_in_a_cell_becomes_one_column(store: Store, column: str, change: dict) -> None:
    fill(store, [trial(), trial(arm="none")], True)
    fill(store, [trial(**change)], False)
    for table in (rates(trials_table(store)), loops_table(trials_table(store))):
        assert set(table.columns) - {"arm", "loop", "layer", "strength", "measure", *RATE} == {column}
        assert sorted(table[(table["measure"] == "detected") & (table["arm"] == "injected")]["rate"]) == [0, 1]
    assert column in readouts_table(store).columns


def test_trials_at_several_sites_are_not_mixed_with_those_at_one(store: Store) -> None:
    fill(store, [trial_at(0, 1), trial_at(1, 1)], False)
    fill(store, [trial(injection=injection((0, 1), (1, 1))), trial(injection=injection((0, 1), (0, 2)))], True)
    table = rates(trials_table(store))
    assert cell(table, sites="0:1,1:1")["rate"] == 1
    assert cell(table, sites="0:1")["rate"] == 0
    loops = loops_table(trials_table(store))
    assert cell(loops, loops="0,1")["rate"] == 1
    assert cell(loops, loops="0", n_sites=1)["rate"] == 0
    assert cell(loops, loops="0", n_sites=2)["rate"] == 1


def test_a_grader_that_did_not_grade_is_refused(store: Store) -> None:
    fill(store, [trial()])
    with pytest.raises(InputError, match=r"'judge'; known: rules"):
        rates(trials_table(store), grader="judge")


def test_two_graders_are_told_apart(store: Store) -> None:
    made = trial()
    store.add([(made, response(made))], [grade(made, True), grade(made, False, grader="judge")])
    table = make_tables(store)["rates"]
    assert cell(table, grader="rules")["rate"] == 1
    assert cell(table, grader="judge")["rate"] == 0


def test_readouts_average_concepts_not_repeats(store: Store) -> None:
    values = {"dust": [1.0, 1.0, 1.0], "sea": [3.0], "oak": [8.0]}
    for concept, found in values.items():
        trials = repeats(len(found), concept=concept)
        store.add([(one, response(one, difference=value)) for one, value in zip(trials, found, strict=True)])
    table = readouts_table(store)
    assert list(table.columns) == ["arm", "loop", "strength", "readout_loop", "mean", "n", "low", "high"]
    assert list(table["readout_loop"]) == [0, 1, 2, 3]
    assert (table["mean"] == 4.0).all()
    assert (table["n"] == 3).all()
    assert (table["low"] < 0).all()


def test_read_outs_without_an_injection_are_there_with_an_empty_place(store: Store) -> None:
    fill(store, [trial(arm="none"), trial(), trial(injection=injection((0, 0), (1, 1)))])
    table = readouts_table(store)
    assert list(table.loc[table["arm"] == "none", "loop"].isna()) == [True] * 4
    assert table.loc[table["arm"] == "injected", "loop"].isna().sum() == 4  # of two loops at once


def test_a_run_that_failed_altogether_has_tables(store: Store) -> None:
    store.add_errors((one, "out of memory") for one in repeats(3))
    trials, *_ = write_tables(store)
    assert trials.read_text() == make_tables(store)["trials"].to_csv(index=False, lineterminator="\n")
    row = cell(make_tables(store)["rates"])
    assert (row["k"], row["n"], row["unknown"], row["errors"]) == (0, 0, 0, 3)


def test_a_rate_that_is_missing_says_why_and_one_that_is_there_says_nothing(store: Store) -> None:
    answered, unknown, failed = (repeats(3, concept=concept) for concept in ("answered", "unknown", "failed"))
    fill(store, answered)
    store.add([(one, response(one)) for one in unknown], [grade(one, detected=None) for one in unknown])
    store.add_errors((one, "out of memory") for one in failed)
    table = trials_table(store)
    said = {part: cell(rates(table[table["concept"] == part]))["note"] for part in ("answered", "unknown", "failed")}
    assert pd.isna(said.pop("answered"))
    assert said == {"unknown": "no rate: every answer is unknown", "failed": "no rate: every trial failed"}


def test_an_empty_run_says_what_to_do(store: Store) -> None:
    with pytest.raises(InputError, match="no trials yet; run the sweep"):
        write_tables(store)


def test_a_hundred_thousand_rows_are_counted_in_seconds(store: Store) -> None:
    fill(store, [trial_at(index % 4, index // 4 % 4, concept=str(index)) for index in range(1000)])
    table = pd.concat([trials_table(store)] * 100, ignore_index=True)
    assert cell(rates(table), loop=3, layer=3)["n"] == 62 * 100


@pytest.mark.parametrize("coherence", ["rules", "model"])
def test_a_brief_look_gives_the_rates_and_read_outs_of_the_whole_and_touches_nothing_else(
    finished: Path, tmp_path: Path, coherence: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "tables").iterdir()}
    with Store.open(folder) as store:
        few, whole = brief(store, coherence), summaries(store, coherence)
        assert list(few.made) == ["rates", "loops", "readouts"]
        for name, table in few.made.items():
            pd.testing.assert_frame_equal(table, whole.made[name])
        written = {path.name for path in write_brief(store, few)}
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "tables").iterdir()}
    assert {name for name, when in after.items() if when != before[name]} == written
