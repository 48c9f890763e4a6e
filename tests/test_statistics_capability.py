"""The gate: who can answer, who cannot, and who was not asked."""

import numpy as np
import pandas as pd
import pytest

from introspect.results.statistics.capability import CAN_ANSWER, CANNOT_ANSWER, Capability, capability
from introspect.results.statistics.intervals import mean_interval, wilson


def plain(right: int, wrong: int, unread: int = 0, errors: int = 0, mass: float = 0.9) -> pd.DataFrame:
    answers = [True] * right + [False] * wrong + [None] * (unread + errors)
    ran = right + wrong + unread
    masses = np.append(mass + 0.01 * np.cos(np.arange(ran)), np.full(errors, np.nan))
    return pd.DataFrame({"state": ["done"] * ran + ["error"] * errors, "mass": masses}).assign(
        rules_correct=pd.array(answers, dtype="boolean")
    )


def test_a_model_that_answers_can_answer_and_the_figures_are_counts_with_intervals() -> None:
    trials = plain(36, 4, errors=2)
    found = capability(trials)
    low, high = wilson(36, 40, freedom=39)
    masses = mean_interval(trials["mass"].dropna())
    assert found == Capability(*masses, 36, 40, 0, 2, 0.9, float(low), float(high), CAN_ANSWER)


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        (plain(36, 4, mass=0.2), "no mass on the answers"),
        (plain(20, 20), "says yes to everything"),
        (plain(10, 0, unread=30), "right where it can be read, which is seldom"),
        (plain(0, 0, unread=40), "nothing can be read"),
    ],
)
def test_a_model_below_a_floor_cannot_answer(trials: pd.DataFrame, why: str) -> None:
    assert capability(trials).verdict == CANNOT_ANSWER, why


def test_a_question_that_is_asked_again_narrows_no_interval() -> None:
    once = plain(9, 3)
    thrice = pd.concat([once.assign(asked=range(12))] * 3, ignore_index=True)
    first, again = capability(once), capability(thrice)
    assert (again.n, again.accuracy) == (36, first.accuracy)
    assert (again.low, again.high) == pytest.approx((first.low, first.high), abs=1e-9)
    assert (again.mass_low, again.mass_high) == pytest.approx((first.mass_low, first.mass_high))


def test_unread_answers_are_in_no_rate() -> None:
    found = capability(plain(10, 0, unread=30))
    assert (found.accuracy, found.n, found.unknown) == (1, 10, 30)


def test_the_floors_can_be_moved() -> None:
    assert capability(plain(25, 15), accuracy_floor=0.6).verdict == CAN_ANSWER
    assert capability(plain(36, 4, mass=0.2), mass_floor=0.1).verdict == CAN_ANSWER


@pytest.mark.parametrize("trials", [plain(0, 0), plain(0, 0, errors=5), plain(36, 4).assign(mass=np.nan)])
def test_who_was_not_asked_or_not_read_out_is_not_judged(trials: pd.DataFrame) -> None:
    assert capability(trials).verdict == "unknown"


def test_a_line_to_be_repeated_needs_no_mass_on_anything() -> None:
    assert capability(plain(36, 4).assign(mass=np.nan), mass=None).verdict == CAN_ANSWER
    assert capability(plain(10, 30), mass=None).verdict == CANNOT_ANSWER
