"""Differences over concepts, which the headline says: their sign, their pairs, and what a constant answer earns."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from introspect.report.differences import against, against_balanced, between_arms, difference_over_concepts

VALUES = some.lists(some.floats(-5, 5).map(lambda value: round(value, 3)), min_size=2, max_size=12)


def trials(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"concept": [f"c{place}" for place in range(len(next(iter(columns.values()))))], **columns})


@settings(deadline=None)
@given(VALUES)
def test_it_is_the_mean_with_the_t_interval_over_concepts(values: list[float]) -> None:
    found = difference_over_concepts(pd.Series([*values, None], dtype=float))
    assert found.concepts == len(values)
    assert found.mean == pytest.approx(np.mean(values))
    if np.ptp(values):
        expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (found.low, found.high) == pytest.approx(expected)


@settings(deadline=None)
@given(VALUES, some.floats(-1, 1))
def test_arms_are_paired_by_concept_the_first_less_the_second(values: list[float], apart: float) -> None:
    first, second = trials(x=values), trials(x=[value - apart for value in values])
    both = pd.concat([first.assign(arm="injected"), second.iloc[::-1].assign(arm="none")])
    found = between_arms(both, "x", "injected", "none")
    assert [found.mean, found.low, found.high] == pytest.approx([apart] * 3, abs=1e-9)
    assert between_arms(both, "x", "none", "injected").mean == pytest.approx(-apart, abs=1e-9)


@settings(deadline=None)
@given(VALUES, some.floats(-3, 3))
def test_against_a_value_a_concept_counts_once_however_many_trials_it_has(values: list[float], value: float) -> None:
    rows = trials(x=values)
    often = pd.concat([rows, *[rows.head(1)] * 7])
    assert against(often, "x", value).mean == pytest.approx(np.mean(values) - value)


@pytest.mark.parametrize("said", ["yes", "no", "maybe"])
def test_who_always_answers_the_same_is_right_in_one_of_n_and_not_in_as_many_trials_as_it_fits(said: str) -> None:
    expected = ["yes"] * 6 + ["no"] * 3 + ["maybe"]
    rows = pd.DataFrame([(c, right, float(right == said)) for c in "abc" for right in expected])
    rows.columns = pd.Index(["concept", "expected", "right"])
    assert against_balanced(rows, "right", 1 / 3).mean == pytest.approx(0)
    assert against_balanced(rows, "right", 0.0).mean == pytest.approx(1 / 3)
    without = rows[(rows["concept"] != "a") | (rows["expected"] != "maybe")]
    assert against_balanced(without, "right", 0.0).concepts == 2
