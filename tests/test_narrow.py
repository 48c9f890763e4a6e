"""The trials as the statistics take them are those of the store, one row each, and what is missing is missing."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made import grade, injection, new_store, response, trial

from introspect.records.response import Grade, Readout, Response
from introspect.records.trial import ARMS, NOT_INJECTED, Trial
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import trials_table
from introspect.results.tables.trials.narrow_trials import narrow_trials

VERDICTS = ("detected", "identified", "coherent", "refused", "correct")


def mixed(draws: random.Random, count: int) -> list[tuple[Trial, Response | None, list[Grade]]]:
    """Make trials of many kinds; a tenth of them failed, and some are graded by nobody, some by two."""
    made = []
    for number in range(count):
        arm = draws.choice(ARMS)
        asked = None if arm in NOT_INJECTED else injection((draws.randrange(4), 0), strength=draws.choice([1.0, 4.0]))
        what = {"question": draws.choice(["detect", "choose"]), "n_loops": draws.choice([2, 4])}
        if what["question"] == "choose":
            what |= {"options": ('a "b"', "dust", "\xe9t\xe9"), "expected": draws.choice(["dust", None])}
        partner = "salt" if arm == "wrong" else None
        one = trial(arm=arm, injection=asked, repeat=number, concept=draws.choice("ab"), partner=partner, **what)
        reads = [
            Readout(loop, draws.gauss(0, 1), draws.gauss(0, 1), draws.random(), 1.0, (), draws.choice([None, loop]))
            for loop in range(one.n_loops)
        ]
        answer = replace(response(one), readouts=tuple(reads))
        graders = draws.choice([[], ["rules"], ["judge", "rules"]])
        made.append((one, answer, [any_grade(draws, one, name) for name in graders]))
        if draws.random() < 0.1:
            made[-1] = (one, None, [])
    return made


def any_grade(draws: random.Random, of: Trial, grader: str) -> Grade:
    verdicts = {name: draws.choice([True, False, None]) for name in VERDICTS}
    said = {"answer": draws.choice(["yes", "dust", None]), "tokens": draws.choice([None, 3])}
    return replace(grade(of), grader=grader, **verdicts, **said)


def stored(folder: Path, made: list[tuple[Trial, Response | None, list[Grade]]]) -> Store:
    store = new_store(folder)
    store.add(((one, answer) for one, answer, _ in made if answer), (g for _, _, grades in made for g in grades))
    store.add_errors((one, "failed") for one, answer, _ in made if answer is None)
    return store


def said(value: object) -> object:
    return None if pd.isna(value) else value


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[pd.Series, Trial, Response | None, list[Grade]]]:
    """Return every row of the frame beside the records that it is made of."""
    made = mixed(random.Random(3), 250)
    with stored(tmp_path_factory.mktemp("narrow"), made) as store:
        table = narrow_trials(store)
    by_id = sorted(made, key=lambda each: each[0].id)
    assert len(table) == len(made)
    return [(row, *each) for (_, row), each in zip(table.iterrows(), by_id, strict=True)]


def test_a_row_has_what_its_trial_has(rows: list) -> None:
    for row, one, answer, _ in rows:
        given = [one.concept, one.repeat, one.question, one.arm, one.n_loops, one.expected, one.partner]
        names = ["concept", "repeat", "question", "arm", "n_loops", "expected", "partner"]
        assert [said(row[name]) for name in names] == given
        assert (json.loads(row["options"]) if said(row["options"]) else []) == list(one.options)
        assert row["state"] == ("error" if answer is None else "done")
        where = None if one.injection is None else one.injection.sites[0].loop
        strength = None if one.injection is None else one.injection.strength
        assert (said(row["loop"]), said(row["strength"])) == (where, strength)


def test_read_outs_are_those_after_the_last_loop_that_was_run(rows: list) -> None:
    for row, one, answer, _ in rows:
        found = [said(row[name]) for name in ("difference", "mass", "concept_rank", "first_yes")]
        if answer is None:
            assert found == [None] * 4
            continue
        last = answer.readouts[-1]
        assert last.loop == one.n_loops - 1
        first = next((read.loop for read in answer.readouts if read.logit_yes > read.logit_no), None)
        assert found == [last.logit_yes - last.logit_no, last.mass, last.concept_rank, first]


@pytest.mark.parametrize("grader", ["rules", "judge"])
def test_verdicts_are_yes_no_or_missing_for_each_grader(rows: list, grader: str) -> None:
    for row, _, _, grades in rows:
        given = next((grade for grade in grades if grade.grader == grader), None)
        for name in (*VERDICTS, "answer", "tokens"):
            assert said(row[f"{grader}_{name}"]) == (None if given is None else getattr(given, name))


def test_types_are_those_that_the_statistics_expect(tmp_path: Path) -> None:
    with stored(tmp_path, mixed(random.Random(1), 40)) as store:
        table = narrow_trials(store)
    kinds = {"difference": "float64", "mass": "float64", "concept_rank": "Int64", "first_yes": "Int64"}
    kinds |= {"rules_detected": "boolean", "judge_correct": "boolean", "rules_tokens": "Int64", "rules_answer": "str"}
    assert {name: str(table[name].dtype) for name in kinds} == kinds


def test_it_agrees_with_the_table_of_trials_and_reads_no_text(tmp_path: Path) -> None:
    with stored(tmp_path, mixed(random.Random(2), 120)) as store:
        table, whole = narrow_trials(store), trials_table(store)
    assert "text" not in table
    shared = [name for name in table.columns if name in whole.columns]
    assert {"concept", "arm", "expected", "options", "rules_detected", "judge_answer", "template"} <= set(shared)
    keys = ["concept", "repeat"]
    one, other = (frame[shared].sort_values(keys, ignore_index=True) for frame in (table, whole))
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_a_run_that_failed_altogether_has_rows_without_numbers(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        store.add_errors([(trial(), "out of memory")])
        table = narrow_trials(store)
    assert list(table["state"]) == ["error"]
    assert table[["difference", "mass", "concept_rank", "first_yes"]].isna().all(axis=None)


def test_rows_do_not_depend_on_the_order_of_storing(tmp_path: Path) -> None:
    made = mixed(random.Random(5), 100)
    tables = []
    for name in ("a", "b"):
        with stored(tmp_path / name, made) as store:
            tables.append(narrow_trials(store).drop(columns="cell"))  # cells are numbered as they come
        random.Random(0).shuffle(made)
    pd.testing.assert_frame_equal(*tables)
