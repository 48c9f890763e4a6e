"""Records come back from the store exactly as they were, and what could not is refused."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from made import fill, grade, injection, new_store, response, trial

from introspect.records.response import Grade, Measure, Readout
from introspect.results.store.store import Store


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    made = trial(injection=injection((0, 1), (2, 3), extract_loop=1, unit="residual"), seed=2**64 - 1)
    answer = replace(response(made, 'a "b",\r\n\u2028 \U0001f600 NA'), readouts=(Readout(0, 0.1, -1e-300, 1.0, 0.3),))
    verdict = grade(made, None, None, coherent=False, refused=True, evidence="'b'")
    with new_store(tmp_path / "run") as store:
        store.add([(made, answer)], [verdict])
    with Store.open(tmp_path / "run") as store:
        assert store.trial(made.id) == made
        assert store.response(made.id) == answer
        assert store.grades(made.id) == [verdict]
        assert list(store.trials()) == [made]
        assert store.done_ids() == {made.id}


def test_what_was_asked_and_measured_comes_back_exactly(tmp_path: Path) -> None:
    asked = {
        "variables": (("first", "a \u2028 line"), ("second", "")),
        "options": ("first", "second"),
        "expected": "first",
    }
    weighed = injection((0, 0), (1, 0), strength=1 / 3, weights=(1.0, 0.1 + 0.2))
    trials = [
        trial(question="compare", protocol="compare", injection=weighed, **asked),
        trial(question="compare", protocol="compare", injection=weighed, **{**asked, "expected": "second"}),
        trial(arm="wrong", partner="snow"),
        trial(arm="text", variables=(("written", "dust"),)),
        trial(arm="shuffled", options=(), expected=None),
    ]
    answers = [response(one) for one in trials]
    measures = tuple(Measure(name, 3, layer, 1 / 7 - layer) for name in ("cosine", "cosine_sd") for layer in (0, 1))
    answers[0] = replace(answers[0], measures=measures)
    with new_store(tmp_path) as store:
        store.add(zip(trials, answers, strict=True))
    with Store.open(tmp_path) as store:
        assert list(store.answers()) == list(zip(trials, answers, strict=True))
        assert [store.trial(one.id) for one in trials] == trials
        assert [store.trial(one.id).id for one in trials] == [one.id for one in trials]
        assert [store.response(one.id).measures for one in trials] == [measures, (), (), (), ()]
        assert [one.readouts[0].options for one in answers] == [(-1.0, -2.0), (-1.0, -2.0), (), (), ()]


def test_a_measure_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    bad = replace(response(trial()), measures=(Measure("cosine", 0, 0, math.nan),))
    with new_store(tmp_path) as store:
        with pytest.raises(ValueError, match="not finite"):
            store.add([(trial(), bad)])
        assert store.count() == 0


def test_what_was_answered_and_why_nothing_is_known_come_back_as_they_were(tmp_path: Path) -> None:
    trials = [trial(repeat=repeat) for repeat in range(3)]
    verdicts = [
        grade(trials[0], answer="yes", correct=True),
        grade(trials[1], answer="ocean", correct=False),
        Grade(trials[2].id, "rules", "1", None, None, None, None, "no JSON", state="malformed"),
    ]
    with new_store(tmp_path / "run") as store:
        store.add([(one, response(one)) for one in trials], verdicts)
        assert [store.grades(one.id) for one in trials] == [[verdict] for verdict in verdicts]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["vector_norm", "residual_norm", "readouts"])
def test_a_number_that_is_not_finite_is_refused_with_its_batch(tmp_path: Path, number: float, field: str) -> None:
    first, second = trial(repeat=1), trial(repeat=2)
    bad = (Readout(0, 0.1, number, 1.0, 0.3),) if field == "readouts" else number
    with new_store(tmp_path) as store:
        with pytest.raises(ValueError, match="not finite"):
            store.add([(first, response(first)), (second, replace(response(second), **{field: bad}))])
        assert list(store.trials()) == []


def test_numbers_that_are_equal_but_not_the_same_stay_different_trials(tmp_path: Path) -> None:
    whole, real = (trial(injection=injection(strength=strength)) for strength in (2, 2.0))
    assert whole == real
    with new_store(tmp_path) as store:
        fill(store, [whole, real])
        assert [store.trial(one.id).id for one in (whole, real)] == [whole.id, real.id]
