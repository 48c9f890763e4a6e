"""The logit grader: the sign of the last difference, and unknown wherever the numbers do not speak."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import trial

from introspect.grading import grader_named
from introspect.grading.logits import LEAST_MASS
from introspect.records.response import Grade, Readout, Response
from introspect.records.trial import Trial

LOGITS = st.floats(-50, 50)
TRIAL = trial(arm="none")
CHOICE = trial(question="choose", options=("dust", "snow", "sea"), expected="snow")


def graded(*readouts: Readout, text: str = "No.", of: Trial = TRIAL) -> Grade:
    return grader_named("logits")(of, Response(of.id, text, (1,), "stop", readouts, None, None))


def chosen(*probabilities: float, loop: int = 3) -> Readout:
    return Readout(loop, 0.0, 0.0, 0.9, 0.1, tuple(math.log(p) if p else -math.inf for p in probabilities))


@given(LOGITS, LOGITS)
def test_detected_is_the_sign_of_yes_minus_no_whatever_the_text_says(yes: float, no: float) -> None:
    assert graded(Readout(0, yes, no, 0.9, 0.1), text="No.").detected is (yes - no > 0)


@given(LOGITS, LOGITS, LOGITS)
def test_only_the_last_loop_counts_in_whichever_order(yes: float, no: float, earlier: float) -> None:
    last, first = Readout(3, yes, no, 0.9, 0.1), Readout(0, earlier, -earlier, 0.9, 0.1)
    assert graded(first, last) == graded(last, first) == graded(last)


@given(LOGITS, LOGITS, st.floats(0, LEAST_MASS, exclude_max=True))
def test_below_the_floor_of_mass_nothing_is_known(yes: float, no: float, mass: float) -> None:
    grade = graded(Readout(0, yes, no, mass, 0.1))
    assert grade.detected is None
    assert f"below the floor of {LEAST_MASS}" in grade.evidence
    assert graded(Readout(0, yes, no, LEAST_MASS, 0.1)).detected is not None


@pytest.mark.parametrize("bad", [Readout(0, math.nan, 1.0, 0.9, 0.1), Readout(0, 1.0, 0.0, math.nan, 0.1)])
def test_what_is_not_a_number_is_unknown(bad: Readout) -> None:
    assert graded(bad).detected is None


def test_without_readouts_all_is_unknown() -> None:
    grade = graded()
    assert (grade.detected, grade.identified, grade.coherent, grade.refused) == (None, None, None, None)
    assert grade.evidence == "no read-outs were recorded"


def test_only_detection_is_judged_and_the_numbers_are_given() -> None:
    grade = graded(Readout(2, 1.5, -0.25, 0.8, 0.1))
    assert (grade.identified, grade.coherent, grade.refused) == (None, None, None)
    assert (grade.detected, grade.grader) == (True, "logits")
    assert grade.evidence == "loop 2: logit(yes) - logit(no) = 1.500 - -0.250 = 1.750, probability of either 0.800"


@pytest.mark.parametrize(("yes", "answer"), [(2.0, "yes"), (-2.0, "no")])
def test_a_plain_question_is_answered_by_the_sign_and_says_nothing_about_noticing(yes: float, answer: str) -> None:
    grade = graded(Readout(0, yes, 0.0, 0.9, 0.1), of=trial(question="unrelated", expected="yes"))
    assert (grade.answer, grade.correct, grade.detected) == (answer, answer == "yes", None)
    assert graded(Readout(0, yes, 0.0, 0.9, 0.1)).answer == answer


def test_of_several_options_the_most_probable_first_token_after_the_last_loop_is_the_answer() -> None:
    early, late = chosen(0.9, 0.0, 0.0, loop=0), chosen(0.1, 0.5, 0.2)
    grade = graded(early, late, of=CHOICE)
    assert (grade.answer, grade.correct, grade.detected) == ("snow", True, None)
    assert "snow 0.500, sea 0.200, dust 0.100" in grade.evidence
    assert graded(late, early, of=CHOICE) == grade
    assert (graded(early, of=CHOICE).answer, graded(early, of=CHOICE).correct) == ("dust", False)


@pytest.mark.parametrize(
    ("probabilities", "why"),
    [((0.02, 0.05, 0.02), "below the floor"), ((0.4, 0.4, 0.1), "a tie"), (None, "no read-outs")],
)
def test_options_that_are_improbable_or_even_are_no_answer(probabilities: tuple[float, ...] | None, why: str) -> None:
    grade = graded(*([] if probabilities is None else [chosen(*probabilities)]), of=CHOICE)
    assert (grade.answer, grade.correct) == (None, None)
    assert why in grade.evidence


def test_a_line_that_is_repeated_is_not_graded_by_its_first_token() -> None:
    grade = graded(chosen(0.9), of=trial(question="repeat", options=("A line.",), expected="A line."))
    assert (grade.answer, grade.correct) == (None, None)
