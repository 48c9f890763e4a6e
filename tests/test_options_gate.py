"""The gate of answers among options: who chooses once there is a thought can answer, who mumbles cannot."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from introspect.results.statistics.capability import CAN_ANSWER, CANNOT_ANSWER
from introspect.results.tables.rates.capability import LEAST_ANSWERS, capability_table, telling, unable

STRENGTHS = (0.5, 1.0, 2.0)
ARMS = ("injected", "random", "wrong")


def choosing(named: dict[tuple[str, float], float], n: int = 48, seed: int = 0) -> pd.DataFrame:
    """Make n answers for each arm and strength, of which such a share name an option; with nothing injected a tenth."""
    rng = np.random.default_rng(seed)

    def rows() -> Iterator[dict[str, object]]:
        for (arm, strength), share in {("none", np.nan): 0.1, **named}.items():
            for trial in range(n):
                answer = "bread" if rng.random() < share else None
                about = {"question": "choose", "protocol": "choose", "arm": arm, "strength": strength, "repeat": 0}
                graded = {"rules_answer": answer, "rules_correct": None if answer is None else False}
                yield {**about, **graded, "n_loops": 4, "asked": trial, "state": "done", "mass": 0.1, "offered": 0.9}

    return pd.DataFrame(rows()).astype({"rules_correct": "boolean"})


def verdict(trials: pd.DataFrame) -> str:
    (row,) = capability_table(trials, "rules").itertuples()
    return str(row.verdict)


def test_options_named_under_one_strength_of_one_arm_show_that_the_model_can_name_them() -> None:
    assert verdict(choosing({})) == CANNOT_ANSWER
    trials = choosing({("injected", 0.5): 0.1, ("injected", 2.0): 0.98, ("random", 2.0): 0.2})
    (row,) = capability_table(trials, "rules").itertuples()
    assert (row.answers, row.question, row.judged_arm, row.verdict) == ("options", "choose", "injected", CAN_ANSWER)
    table = capability_table(trials, "rules").assign(grader="rules")
    assert not unable(trials, table, "rules").any()


def test_a_handful_of_answers_shows_nothing() -> None:
    assert verdict(choosing({("injected", 2.0): 1.0}, n=LEAST_ANSWERS - 1)) == CANNOT_ANSWER
    assert verdict(choosing({("injected", 2.0): 1.0}, n=LEAST_ANSWERS)) == CAN_ANSWER


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(("share", "low", "high"), [(0.5, 0.0, 0.05), (0.9, 0.95, 1.0)])
def test_the_best_of_many_arms_and_strengths_is_no_gate_of_chance(share: float, low: float, high: float) -> None:
    """In nine groups of 48, a model that names an option in half of its answers passes in at most 5% of runs."""
    every = {(arm, strength): share for arm in ARMS for strength in STRENGTHS}
    passed = [verdict(choosing(every, seed=seed)) == CAN_ANSWER for seed in range(60)]
    assert low <= np.mean(passed) <= high


def test_the_gate_is_read_from_all_arms_of_a_choice_and_from_no_injection_elsewhere() -> None:
    cells = pd.DataFrame(
        [
            ("choose", "injected"),
            ("choose", "none"),
            ("unrelated", "none"),
            ("unrelated", "injected"),
            ("detect", "none"),
        ],
        columns=["question", "arm"],
    )
    assert telling(cells).tolist() == [True, True, True, False, False]
