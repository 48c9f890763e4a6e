"""The logit grader: the sign of the last difference, and unknown wherever the numbers do not speak."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.grading import grader_named
from introspect.grading.logits import MASS_FLOOR
from introspect.records import Grade, Readout, Response, Trial

LOGITS = st.floats(-50, 50)
TRIAL = Trial("m", "w", "float32", "p", "t", "h", "Bread", "none", None, 4, 0, 0)


def graded(*readouts: Readout, text: str = "No.") -> Grade:
    return grader_named("logits")(TRIAL, Response(TRIAL.id, text, (1,), "stop", readouts, None, None))


@given(LOGITS, LOGITS)
def test_detected_is_the_sign_of_yes_minus_no_whatever_the_text_says(yes: float, no: float) -> None:
    assert graded(Readout(0, yes, no, 0.9, 0.1), text="No.").detected is (yes - no > 0)


@given(LOGITS, LOGITS, LOGITS)
def test_only_the_last_loop_counts_in_whichever_order(yes: float, no: float, earlier: float) -> None:
    last, first = Readout(3, yes, no, 0.9, 0.1), Readout(0, earlier, -earlier, 0.9, 0.1)
    assert graded(first, last) == graded(last, first) == graded(last)


@given(LOGITS, LOGITS, st.floats(0, MASS_FLOOR, exclude_max=True))
def test_below_the_floor_of_mass_nothing_is_known(yes: float, no: float, mass: float) -> None:
    grade = graded(Readout(0, yes, no, mass, 0.1))
    assert grade.detected is None
    assert f"below the floor of {MASS_FLOOR}" in grade.evidence
    assert graded(Readout(0, yes, no, MASS_FLOOR, 0.1)).detected is not None


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
