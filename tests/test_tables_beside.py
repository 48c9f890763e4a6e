"""Tables beside the primary contrast: other arms, the third person, several wordings, default guesses."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from made import grade, response, trial_at
from test_inference import CONCEPTS, RANDOM, Stored, inferred, noticed, planted, row

from introspect.records.trial import Trial


def moved(stored: Stored, by: float, **changes: object) -> Stored:
    """Store the same trial with other fields and another difference."""
    one, answer, grades = stored
    other = replace(one, **changes)
    readouts = tuple(replace(each, logit_yes=each.logit_yes + by) for each in answer.readouts)
    return other, replace(answer, trial_id=other.id, readouts=readouts), [replace(g, trial_id=other.id) for g in grades]


def with_in_span() -> Iterator[Stored]:
    """Add the arm in-span, which moves noticing by half a logit more than random directions, and all questions by 2."""
    for each in planted():
        yield each
        if each[0].arm == "random":
            yield moved(each, 2.0 + (0.5 if each[0].question == "detect" else 0.0), arm="in-span")


def with_text() -> Iterator[Stored]:
    """Add the arm text, which moves all questions by 1 and noticing by .7 more."""
    for each in planted():
        yield each
        one = each[0]
        if one.arm == "none":
            written = tuple(sorted({**dict(one.variables), "written": one.concept}.items()))
            yield moved(each, 1.0 + (0.7 if one.question == "detect" else 0.0), arm="text", variables=written)


def test_another_arm_is_held_against_the_vector_beyond_its_own_plain_questions(tmp_path: Path) -> None:
    table = inferred(tmp_path, list(with_in_span()))["against"]
    assert set(table["control"]) == {"in-span"}
    for loop in (0, 1):
        at = {"loop": loop, "control": "in-span"}
        assert row(table, effect="control", **at)["mean"] == pytest.approx(RANDOM + 0.5)
        assert row(table, effect="difference", **at)["mean"] == pytest.approx(noticed(loop) - RANDOM - 0.5)
    overall = row(table, effect="difference", loop=None)
    assert overall["mean"] == pytest.approx(1.5 - RANDOM - 0.5)
    assert overall["low"] < overall["mean"] < overall["high"]


def test_the_concept_in_the_text_is_on_the_same_footing(tmp_path: Path) -> None:
    table = inferred(tmp_path, list(with_text()))["against"]
    assert row(table, effect="control", loop=None)["mean"] == pytest.approx(0.7)
    assert row(table, effect="difference", loop=0)["mean"] == pytest.approx(noticed(0) - 0.7)
    assert row(table, effect="difference", loop=None)["n"] == len(CONCEPTS)


def test_a_run_without_such_arms_or_twins_or_wordings_lacks_these_tables(tmp_path: Path) -> None:
    assert not {"against", "third_person", "wordings", "guesses", "confusion"} & set(
        inferred(tmp_path, list(planted()))
    )


def test_a_question_that_was_never_injected_hides_none_that_comes_after_it(tmp_path: Path) -> None:
    clean = [each for each in planted() if (each[0].question, each[0].arm) == ("detect", "none")]
    after = [
        moved(e, 0, question="third-person", template="b") if e[0].question == "detect" else e for e in with_in_span()
    ]
    assert set(inferred(tmp_path, [*clean, *after])["against"]["template"]) == {"b"}


def test_the_excess_is_what_the_first_person_is_moved_by_beyond_the_third(tmp_path: Path) -> None:
    def twin(each: Stored) -> Stored:
        changes = {"question": "third-person", "template": "other", "template_hash": "t1"}
        one, answer, grades = moved(each, -0.4 if each[0].arm == "injected" else 0.0, **changes)
        said = each[0].arm == "injected" and each[0].concept in CONCEPTS[:2]
        return one, answer, [grade(one, said, False) for _ in grades]

    made = list(planted())
    table = inferred(tmp_path, [*made, *(twin(each) for each in made if each[0].question == "detect")])["third_person"]
    assert set(zip(table["template"], table["third"], strict=True)) == {("lindsey", "other")}
    for loop in (0, 1):
        at = {"measure": "contrast", "loop": loop}
        assert row(table, effect="first person", **at)["mean"] == pytest.approx(noticed(loop) - RANDOM)
        assert row(table, effect="excess", **at)["mean"] == pytest.approx(0.4)
    overall = row(table, measure="contrast", effect="excess", loop=None)
    assert overall["mean"] == pytest.approx(0.4)
    assert overall["p"] == pytest.approx(2 / 2**6)
    rates = {name: row(table, measure="detected", effect=name, loop=None) for name in ("first person", "excess")}
    assert rates["first person"]["mean"] == 1
    assert rates["excess"]["mean"] == pytest.approx(1 - 2 / 6)
    assert rates["excess"]["grader"] == "rules"


def test_a_twin_that_was_not_injected_is_said_to_be_lacking(tmp_path: Path) -> None:
    made = list(planted())
    alone = [moved(e, 0, question="third-person") for e in made if (e[0].question, e[0].arm) == ("detect", "none")]
    assert "third_person" not in inferred(tmp_path, [*made, *alone])


def test_three_wordings_have_an_interval_over_wordings_and_concepts(tmp_path: Path) -> None:
    made = list(planted())
    asked = [each for each in made if each[0].question == "detect"]
    more = [
        moved(each, by if each[0].arm == "injected" else 0.0, template=name, template_hash=name)
        for name, by in (("b", 0.6), ("c", -0.3))
        for each in asked
    ]
    found = inferred(tmp_path / "three", [*made, *more])
    overall = row(found["wordings"], effect="contrast", loop=None)
    assert overall["mean"] == pytest.approx(1.5 - RANDOM + 0.1)
    assert (overall["wordings"], overall["concepts"]) == (3, len(CONCEPTS))
    assert overall["sd_wordings"] == pytest.approx(0.4583, abs=1e-3)
    over_concepts = row(found["contrasts"], effect="contrast", loop=None, template="b")
    assert overall["high"] - overall["low"] > over_concepts["high"] - over_concepts["low"]
    assert "wordings" not in inferred(tmp_path / "two", [*made, *more[: len(asked)]])


def named(one: Trial, word: str) -> Stored:
    return one, response(one, word), [grade(one, None, answer=word, correct=word == one.expected)]


def test_wrong_words_are_held_against_those_named_with_nothing_injected(tmp_path: Path) -> None:
    words = ("bread", "cat", "river")
    stored = []
    for concept in words:
        fields = {"question": "choose", "options": words, "expected": concept, "concept": concept}
        stored.append(named(trial_at(0, 0, arm="none", **fields), "bread"))
        for loop in (0, 1):
            stored.append(named(trial_at(loop, 0, **fields), "cat" if loop else concept))
    found = inferred(tmp_path, stored)
    guesses = found["guesses"]
    assert row(guesses, word="cat")[["k", "n", "share", "k_none", "n_none"]].tolist() == [2, 2, 1.0, 0, 3]
    assert row(guesses, word="bread")[["k", "share", "share_none", "category"]].tolist() == [0, 0.0, 1.0, "food"]
    confusion = found["confusion"]
    one = row(confusion, category="food", named_category="animal")
    assert one[["k", "n", "k_none", "n_none"]].tolist() == [1, 1, 0, 1]


def test_in_the_arm_wrong_the_word_injected_is_no_wrong_guess(tmp_path: Path) -> None:
    fields = {"question": "choose", "options": ("bread", "cat"), "expected": "bread", "concept": "bread"}
    stored = [
        named(trial_at(0, 0, arm="wrong", partner="cat", **fields), "cat"),
        named(trial_at(1, 0, arm="wrong", partner="cat", **fields), "bread"),
        named(trial_at(0, 0, arm="none", **fields), "cat"),
    ]
    guesses = inferred(tmp_path, stored)["guesses"]
    assert row(guesses, word="bread")["k"] == 1
    assert row(guesses, word="cat")["k"] == 0
