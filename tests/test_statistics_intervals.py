"""Intervals against published values and their own definition."""

import numpy as np
import pytest
from scipy import stats

from introspect.results.statistics import mean_interval, unknown_bounds, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 50, 0.0, 0.071), (0, 100, 0.0, 0.037), (10, 50, 0.112, 0.330), (50, 50, 0.929, 1)]
)
def test_wilson_gives_the_known_bounds(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_no_trials_give_no_interval() -> None:
    low, high = wilson([0, 1], [0, 2])
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert low[1] < 0.5 < high[1]


def test_the_interval_holds_the_rate_and_stays_between_0_and_1() -> None:
    n = 23
    k = np.arange(n + 1)
    low, high = wilson(k, np.full(n + 1, n))
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low <= k / n + 1e-12).all()
    assert (high >= k / n - 1e-12).all()


def test_more_confidence_is_wider() -> None:
    assert wilson(10, 50, confidence=0.99)[0] < wilson(10, 50)[0]


def test_more_hits_than_trials_is_refused() -> None:
    with pytest.raises(AssertionError, match="k must lie between"):
        wilson(3, 2)


def test_the_mean_interval_is_that_of_the_t_test() -> None:
    values = [1.0, 2.0, 4.0, 8.5]
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean_interval(values) == pytest.approx((3.875, expected.low, expected.high))


def test_one_value_has_a_mean_and_no_interval_and_none_has_neither() -> None:
    assert mean_interval([3.0]) == (3.0, pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True))
    assert np.isnan(mean_interval([])).all()


def test_wilson_covers_the_rate_95_percent_of_the_time() -> None:
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.02, 0.98, 1000)
    low, high = wilson(rng.binomial(60, rates), 60)
    assert 0.93 <= ((low <= rates) & (rates <= high)).mean() <= 0.97


def test_the_bounds_are_the_rates_with_all_unknown_no_and_all_yes() -> None:
    low, high = unknown_bounds([3, 0, 5], [10, 0, 5], [2, 0, 0])
    assert low == pytest.approx([3 / 12, np.nan, 1], nan_ok=True)
    assert high == pytest.approx([5 / 12, np.nan, 1], nan_ok=True)
