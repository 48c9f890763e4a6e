"""Grading again touches grades alone: all of them, or those that are missing in the grader's present version."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from made import grade, new_store, response, trial

from introspect.experiment.regrade import regrade
from introspect.grading import GRADERS
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial
from introspect.results.store.store import Store

RULES, LOGITS = GRADERS["rules"], GRADERS["logits"]
TRIALS = [trial(repeat=repeat) for repeat in range(3)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Make a run of three graded responses, one grade by an older version, and a trial that failed."""
    with new_store(tmp_path / "run") as made:
        grades = [RULES(one, response(one)) for one in TRIALS[:2]] + [grade(TRIALS[2], version="older")]
        made.add([(one, response(one)) for one in TRIALS], grades)
        made.add_errors([(trial(repeat=9), "too faint")])
        yield made


def grades_of(store: Store) -> list[list[Grade]]:
    return [store.grades(one.id) for one in TRIALS]


def test_every_response_is_graded_by_every_grader(store: Store) -> None:
    assert regrade(store, [RULES, LOGITS]) == 6
    assert grades_of(store) == [[LOGITS(one, response(one)), RULES(one, response(one))] for one in TRIALS]
    assert regrade(store, [RULES]) == 3


def test_only_missing_and_outdated_grades_are_made_when_asked(store: Store) -> None:
    assert regrade(store, [RULES], only_missing=True) == 1
    assert store.grades(TRIALS[2].id)[0].version == RULES.version
    assert regrade(store, [RULES], only_missing=True) == 0
    assert regrade(store, [RULES, LOGITS], only_missing=True) == 3


def test_responses_are_left_alone(store: Store) -> None:
    regrade(store, [RULES, LOGITS])
    assert [store.response(one.id) for one in TRIALS] == [response(one) for one in TRIALS]
    assert (store.count(), store.count("error")) == (3, 1)


def test_a_grader_that_fails_leaves_every_grade_as_it_was(store: Store) -> None:
    class Failing:
        name, version = "rules", "2"

        def __call__(self, trial: Trial, response: Response) -> Grade:
            if trial == TRIALS[1]:
                raise RuntimeError("lost")
            return replace(RULES(trial, response), version="2")

    before = grades_of(store)
    with pytest.raises(RuntimeError, match="lost"):
        regrade(store, [Failing()])
    assert grades_of(store) == before
