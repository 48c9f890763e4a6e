"""Tables count what was answered, say what is missing, and never pool what varies."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import fill, grade, injection, new_store, response, trial, trial_at

from introspect.errors import InputError
from introspect.records import ARMS, Grade, Response, Sampling, Trial
from introspect.results.store import Store
from introspect.results.tables import loops_table, make_tables, rates, readouts_table, trials_table, write_tables


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
    store.put_grades([grade(answered, grader="judge", answer="yes", correct=False), unknown])
    table = trials_table(store).set_index("trial")
    said = table[["judge_answer", "judge_correct", "judge_state"]]
    assert list(said.loc[answered.id]) == ["yes", False, "graded"]
    assert said.loc[broken.id].isna().tolist() == [True, True, False]
    assert said.loc[broken.id, "judge_state"] == "malformed"
    assert said.loc[ungraded.id].isna().all()
    assert table["judge_correct"].dtype == "boolean"


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
    asked = ["arm", "loop", "layer", "strength", "measure", "k", "n", "rate", "low", "high"]
    assert list(table.columns) == [*asked, "unknown", "errors"]
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
        extra = set(table.columns) - {"arm", "loop", "layer", "strength", "measure", "k", "n", "rate", "low", "high"}
        assert extra == {column, "unknown", "errors"}
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


def test_files_hold_the_tables_and_text_of_any_kind(store: Store) -> None:
    texts = ['Yes, "dust".\nReally', "=1+1", "NA", "a\rb\r\nc", "comma, tab\t", " \u2028é\U0001f600 "]
    trials = repeats(len(texts))
    store.add([(one, response(one, text)) for one, text in zip(trials, texts, strict=True)], map(grade, trials))
    paths = write_tables(store)
    assert [path.name for path in paths] == ["trials.csv", "rates.csv", "loops.csv", "readouts.csv"]
    assert sorted(path.name for path in (store.folder / "tables").iterdir()) == sorted(path.name for path in paths)
    read = pd.read_csv(paths[0], keep_default_na=False, na_values=[""])
    assert list(read.sort_values("repeat")["text"]) == texts
    assert pd.read_csv(paths[1])["rate"].notna().all()


def mixed(draws: random.Random, count: int) -> list[tuple[Trial, Response | str, list[Grade]]]:
    """Make trials of many cells, some failed, some ungraded, some graded twice."""
    made = []
    for number in range(count):
        sites = draws.choice([[(0, 0)], [(1, 2)], [(10, 2)], [(0, 0), (1, 2)]])
        arm = draws.choice(ARMS)
        asked = injection(*sites, strength=draws.choice([0.5, 2.0])) if arm != "none" else None
        concept = draws.choice(["dust", "Zinc", "\xe9t\xe9", "\U0001f600"])
        sampling = Sampling(temperature=draws.choice([0.0, 1.0]))
        one = trial(arm=arm, injection=asked, concept=concept, repeat=number % 5, seed=number, sampling=sampling)
        said = [draws.choice([True, False, None]) for _ in range(4)]
        graders = draws.choice([[], ["rules"], ["judge", "rules"]])
        grades = [Grade(one.id, grader, "1", *said, draws.choice(["", 'a "b"'])) for grader in graders]
        answer = response(one, draws.choice(["", "NA", "a\rb\n,"]), difference=draws.gauss(0, 1))
        made.append((one, answer, grades) if draws.random() < 0.9 else (one, "failed", []))
    return made


def stored(folder: Path, made: list[tuple[Trial, Response | str, list[Grade]]], size: int) -> Store:
    """Make a run of them in batches of a size."""
    store = new_store(folder)
    for start in range(0, len(made), size):
        batch = made[start : start + size]
        done = [(one, answer) for one, answer, _ in batch if not isinstance(answer, str)]
        store.add(done, [grade for _, _, grades in batch for grade in grades])
        store.add_errors((one, answer) for one, answer, _ in batch if isinstance(answer, str))
    return store


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_of_a_table_depends_on_the_order_of_storing(tmp_path: Path, seed: int) -> None:
    made = mixed(random.Random(seed), 300)
    written = []
    for name, size in (("a", 7), ("b", 100)):
        with stored(tmp_path / name, made, size) as store:
            written.append([path.read_bytes() for path in write_tables(store)])
        random.Random(seed).shuffle(made)
    assert written[0] == written[1]


def test_the_rates_are_those_counted_from_the_records(tmp_path: Path) -> None:
    made = mixed(random.Random(4), 400)
    with stored(tmp_path, made, 64) as store:
        table = make_tables(store)["rates"]
    for grader, measure in (("rules", "detected"), ("judge", "refused"), ("rules", "both")):
        counted = pd.DataFrame(records_counted(made, grader, measure))
        columns = ["arm", "sites", "strength", "temperature"]
        expected = counted.groupby(columns, dropna=False).sum().reset_index()
        found = table[(table["grader"] == grader) & (table["measure"] == measure)].merge(
            expected, on=columns, how="outer"
        )
        assert len(found) == len(expected)
        for column in ("k", "n", "unknown", "errors"):
            assert list(found[f"{column}_x"]) == list(found[f"{column}_y"])


def records_counted(made: list, grader: str, measure: str) -> Iterator[dict[str, object]]:
    """Say of every trial in which cell it is, and as what it counts."""
    for one, answer, grades in made:
        verdicts = next((grade for grade in grades if grade.grader == grader), None)
        said = None if verdicts is None else verdict(verdicts, measure)
        failed = isinstance(answer, str)
        sites = ",".join(map(str, one.injection.sites)) if one.injection else None
        yield {
            **{"arm": one.arm, "sites": sites, "strength": one.injection.strength if one.injection else None},
            **{"temperature": one.sampling.temperature, "k": said is True, "n": said is not None},
            **{"unknown": said is None and not failed, "errors": failed},
        }


def verdict(of: Grade, measure: str) -> bool | None:
    if measure != "both":
        return getattr(of, measure)
    both = {of.detected, of.identified}
    return False if False in both else None if None in both else True


def test_the_readouts_are_means_over_concepts_counted_from_the_records(tmp_path: Path) -> None:
    made = mixed(random.Random(5), 400)
    with stored(tmp_path, made, 64) as store:
        table = readouts_table(store)
    rows = [
        (one.sampling.temperature, one.injection.sites, one.concept, answer.readouts[3].logit_yes)
        for one, answer, _ in made
        if isinstance(answer, Response) and one.arm == "random" and one.injection.strength == 2.0
    ]
    frame = pd.DataFrame(rows, columns=["temperature", "sites", "concept", "value"])
    frame = frame[[len(sites) == 1 and sites[0].loop == 10 for sites in frame["sites"]]]
    expected = frame.groupby(["temperature", "concept"])["value"].mean().groupby("temperature").mean()
    found = table[(table["arm"] == "random") & (table["strength"] == 2.0) & (table["loop"] == 10)]
    found = found[found["readout_loop"] == 3].set_index("temperature")["mean"]
    np.testing.assert_allclose(found.sort_index(), expected.sort_index(), rtol=1e-12)


def test_the_file_of_trials_is_the_frame_of_trials(tmp_path: Path) -> None:
    with stored(tmp_path, mixed(random.Random(6), 300), 50) as store:
        trials, *_ = write_tables(store)
        assert trials.read_bytes().decode() == trials_table(store).to_csv(index=False, lineterminator="\n")


def test_a_run_that_failed_altogether_has_tables(store: Store) -> None:
    store.add_errors((one, "out of memory") for one in repeats(3))
    trials, *_ = write_tables(store)
    assert trials.read_text() == make_tables(store)["trials"].to_csv(index=False, lineterminator="\n")
    row = cell(make_tables(store)["rates"])
    assert (row["k"], row["n"], row["unknown"], row["errors"]) == (0, 0, 0, 3)


def test_an_empty_run_says_what_to_do(store: Store) -> None:
    with pytest.raises(InputError, match="no trials yet; run the sweep"):
        write_tables(store)


def test_a_hundred_thousand_rows_are_counted_in_seconds(store: Store) -> None:
    fill(store, [trial_at(index % 4, index // 4 % 4, concept=str(index)) for index in range(1000)])
    table = pd.concat([trials_table(store)] * 100, ignore_index=True)
    assert cell(rates(table), loop=3, layer=3)["n"] == 62 * 100
