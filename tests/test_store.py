"""The store keeps whole batches of one run, and refuses what it cannot trust."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from made import fill, grade, new_store, response, trial, trial_at

from introspect.errors import InputError
from introspect.records.response import Grade
from introspect.results.store.connection import LOCK_FILE, RUN_FILE
from introspect.results.store.store import Store, StoreError

MANIFEST: dict[str, object] = {"model": "organism:aware", "strengths": [1, 2], "sampling": {"temperature": 1.0}}


def test_a_manifest_comes_back_and_continues_the_same_run(tmp_path: Path) -> None:
    Store.open_or_create(tmp_path / "run", MANIFEST).close()
    with Store.open_or_create(tmp_path / "run", {**MANIFEST, "strengths": (1, 2)}) as store:
        assert store.manifest == MANIFEST


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strengths": [1, 4]}, r"strengths \[1, 2\], not \[1, 4\].*--out"),
        ({"sampling": {"temperature": 0.5}}, r"sampling.temperature 1.0, not 0.5"),
        ({"added": 3}, "added null, not 3"),
    ],
)
def test_another_manifest_is_refused_by_the_name_of_the_option(tmp_path: Path, change: dict, said: str) -> None:
    Store.create(tmp_path / "run", MANIFEST).close()
    with pytest.raises(InputError, match=said):
        Store.open_or_create(tmp_path / "run", {**MANIFEST, **change})


def test_a_long_value_is_shown_where_it_differs(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(100)]
    Store.create(tmp_path / "run", {"concepts": words}).close()
    with pytest.raises(InputError, match=r"word98.*other") as refusal:
        Store.open_or_create(tmp_path / "run", {"concepts": [*words[:-1], "other"]})
    assert len(str(refusal.value)) < 300 + len(str(tmp_path))


def test_a_folder_with_something_else_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"something else \(thesis.tex\)"):
        Store.open_or_create(tmp_path, MANIFEST)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(InputError, match="cannot be used as a folder"):
        Store.open_or_create(tmp_path / "run", MANIFEST)


def test_opening_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run here"):
        Store.open(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_creation_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).touch()
    (tmp_path / LOCK_FILE).touch()
    (tmp_path / f"{RUN_FILE}-journal").touch()
    with Store.open_or_create(tmp_path, MANIFEST) as store:
        assert store.count() == 0


def test_creating_over_a_run_is_refused(tmp_path: Path) -> None:
    Store.create(tmp_path / "run", MANIFEST).close()
    with pytest.raises(InputError, match="holds a run already"):
        Store.create(tmp_path / "run", MANIFEST)


@pytest.mark.parametrize("version", [2, 7])
def test_an_older_or_newer_schema_is_refused_by_number(tmp_path: Path, version: int) -> None:
    Store.create(tmp_path, MANIFEST).close()
    _execute(tmp_path, f"UPDATE run SET schema_version = {version}")
    for opened in (Store.open, lambda folder: Store.open_or_create(folder, MANIFEST)):
        with pytest.raises(InputError, match=f"schema version {version}, this introspect reads version 4") as refusal:
            opened(tmp_path)
        assert "\n" not in str(refusal.value)


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    _execute(tmp_path, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(InputError, match="not a run of introspect"):
        Store.open_or_create(tmp_path, MANIFEST)


def test_a_batch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    first, second = trial(repeat=1), trial(repeat=2)
    with new_store(tmp_path) as store:
        with pytest.raises(sqlite3.IntegrityError):
            store.add([(first, response(first))], [grade(second)])
        assert store.count() == 0
        assert list(store.trials()) == []


def test_the_same_batch_twice_is_stored_once_and_another_response_is_refused(tmp_path: Path) -> None:
    made = trial()
    with new_store(tmp_path) as store:
        store.add([(made, response(made))])
        store.add([(made, response(made))])
        assert store.count() == 1
        with pytest.raises(StoreError, match=f"{made.id} is stored with another response"):
            store.add([(trial(repeat=1), response(trial(repeat=1))), (made, response(made, "No."))])
        assert store.count() == 1
        assert store.response(made.id) == response(made)


def test_grades_of_a_trial_without_a_response_are_refused(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        store.add_errors([(trial(), "did not fit")])
        for missing in (trial(), trial(repeat=5)):
            with pytest.raises(sqlite3.IntegrityError):
                store.put_grades([grade(missing)])


def test_regrading_replaces_the_grades_of_that_grader_only(tmp_path: Path) -> None:
    made = trial()
    other = Grade(made.id, "judge", "3", False, False, True, False, "")
    with new_store(tmp_path) as store:
        store.add([(made, response(made))], [grade(made, True), other])
        before = list(store.answers())
        assert store.put_grades([grade(made, False, version="2")]) == 1
        assert store.grades(made.id) == [other, grade(made, False, version="2")]
        assert list(store.answers()) == before


def test_a_failed_trial_is_not_done_and_a_response_clears_it(tmp_path: Path) -> None:
    made = trial()
    with new_store(tmp_path) as store:
        store.add_errors([(made, "did not fit")])
        store.add_errors([(made, "did not fit again")])
        assert store.done_ids() == set()
        assert (store.count(), store.count("error")) == (0, 1)
        with pytest.raises(InputError, match="it failed: did not fit again"):
            store.response(made.id)
        store.add([(made, response(made))])
        assert (store.count(), store.count("error")) == (1, 0)
        with pytest.raises(StoreError, match="has a response"):
            store.add_errors([(made, "no")])


def test_a_trial_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    trials = [trial(repeat=repeat) for repeat in range(40)]
    with new_store(tmp_path) as store:
        fill(store, trials)
        assert all(store.trial(one.id[:9].upper()) == one for one in trials)
        with pytest.raises(InputError, match="no trial begins with 'xyz'"):
            store.trial("xyz")
        with pytest.raises(InputError, match="'' is ambiguous"):
            store.trial("")


def test_all_trials_come_in_pages_in_the_order_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("introspect.results.store.read.PAGE", 3)
    trials = [trial_at(0, layer) for layer in range(8)]
    with new_store(tmp_path) as store:
        fill(store, trials)
        assert list(store.trials()) == trials
        assert list(store.answers()) == [(one, response(one)) for one in trials]


def _execute(folder: Path, sql: str) -> None:
    connection = sqlite3.connect(folder / RUN_FILE)
    with connection:
        connection.execute(sql)
    connection.close()


def test_a_run_of_the_version_before_is_read_as_it_stands_and_brought_up_to_date_by_who_writes(tmp_path: Path) -> None:
    one = trial()
    with new_store(tmp_path) as store:
        fill(store, [one])
    for column in ("thinking", "cut", "echo", "clean_logprob"):
        _execute(tmp_path, f"ALTER TABLE responses DROP COLUMN {column}")
    _execute(tmp_path, "UPDATE run SET schema_version = 3")
    before = (tmp_path / RUN_FILE).read_bytes()
    with Store.open(tmp_path) as store:
        assert store.response(one.id) == response(one)
        assert store.done_ids() == {one.id}
        assert store.count() == 1
    assert (tmp_path / RUN_FILE).read_bytes() == before
    with Store.open(tmp_path, write=True) as store:
        store.put_grades([grade(one, False)])
    with Store.open(tmp_path) as store:
        assert store.response(one.id) == response(one)
        assert [found.detected for found in store.grades(one.id)] == [False]


def test_what_was_cut_thought_and_measured_of_an_answer_comes_back(tmp_path: Path) -> None:
    one = trial()
    whole = replace(
        response(one), finish_reason="turn", thinking="Hm.", cut="\nUser: and?", echo=3, clean_logprob=-1.25
    )
    with new_store(tmp_path) as store:
        store.add([(one, whole)])
        assert store.response(one.id) == whole
        assert [found for _, found in store.answers()] == [whole]
