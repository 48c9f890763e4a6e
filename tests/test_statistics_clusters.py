"""The bootstrap over concepts against scipy, a slow loop, and simulated concepts whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from introspect.results.statistics.clusters import (
    MIN_CONCEPTS,
    NO_VALUE,
    TOO_FEW,
    Estimate,
    Method,
    Weights,
    bootstrap,
    bootstrap_frame,
    expanded,
    rate,
)


def clustered_trials(concepts: int, seed: int, mean: float = 0.2) -> pd.DataFrame:
    """Verdicts whose rate differs between concepts; numbers of trials differ, too."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 12, concepts)
    rates = rng.beta(4 * mean, 4 * (1 - mean), concepts)
    names = np.repeat([f"c{number}" for number in range(concepts)], sizes)
    return pd.DataFrame({"concept": names, "verdict": rng.random(len(names)) < np.repeat(rates, sizes)})


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_interval_of_a_mean_is_that_of_scipy_at_the_expanded_level(method: Method) -> None:
    values = np.random.default_rng(0).exponential(size=25)
    found = bootstrap(lambda weights: weights @ values / weights.sum(axis=1), 25, method=method, resamples=999, seed=3)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=999, confidence_level=expanded(0.95, 25), method=method, rng=3
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx(values.mean())


def test_a_frame_is_resampled_as_its_weights_are() -> None:
    trials = clustered_trials(12, 3)
    slow = bootstrap_frame(trials, lambda frame: float(frame["verdict"].mean()), resamples=200, seed=5)
    assert slow == rate(trials["concept"], trials["verdict"], resamples=200, seed=5)


def test_a_frame_of_equal_concepts_is_resampled_too() -> None:
    trials = pd.DataFrame({"concept": np.repeat(list("abcdef"), 3), "value": np.arange(18.0)})
    fast = rate(trials["concept"], trials["value"], resamples=100)
    slow = bootstrap_frame(trials, lambda frame: float(frame["value"].mean()), resamples=100)
    assert (slow.value, slow.low, slow.high) == pytest.approx((fast.value, fast.low, fast.high))


@pytest.mark.parametrize("concepts", [12, 40])
@pytest.mark.slow
def test_the_interval_covers_the_rate_of_clustered_trials(concepts: int) -> None:
    covered = []
    for seed in range(1000):
        trials = clustered_trials(concepts, seed, mean=0.4)
        found = rate(trials["concept"], trials["verdict"], resamples=500, seed=seed)
        covered.append(found.low <= 0.4 <= found.high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_an_interval_that_ignores_concepts_is_too_narrow() -> None:
    covered = []
    for seed in range(300):
        trials = clustered_trials(30, seed, mean=0.4)
        alone = pd.Series(np.arange(len(trials)))
        found = rate(alone, trials["verdict"], resamples=200, seed=seed)
        covered.append(found.low <= 0.4 <= found.high)
    assert np.mean(covered) < 0.9


def test_copies_of_all_trials_add_nothing() -> None:
    trials = clustered_trials(20, 1)
    twice = pd.concat([trials, trials], ignore_index=True)
    assert rate(twice["concept"], twice["verdict"]) == rate(trials["concept"], trials["verdict"])


def test_missing_verdicts_are_left_out() -> None:
    trials = clustered_trials(20, 1)
    more = pd.DataFrame({"concept": ["c0", "c1", "nothing"], "verdict": [pd.NA] * 3})
    both = pd.concat([trials.astype({"verdict": "boolean"}), more.astype({"verdict": "boolean"})], ignore_index=True)
    assert rate(both["concept"], both["verdict"]) == rate(trials["concept"], trials["verdict"])


def test_where_no_draw_differs_there_is_no_interval() -> None:
    found = bootstrap(lambda weights: 0 * weights[:, 0], 8)
    assert found == Estimate(0, pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True), 8)


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    trials = clustered_trials(20, 1)
    first, again, other = (rate(trials["concept"], trials["verdict"], resamples=300, seed=seed) for seed in (4, 4, 5))
    assert first == again
    assert first != other


@pytest.mark.parametrize("concepts", range(MIN_CONCEPTS))
def test_too_few_concepts_have_a_value_without_an_interval_and_a_note(concepts: int) -> None:
    trials = clustered_trials(4, 0)
    trials = trials[trials["concept"].isin([f"c{number}" for number in range(concepts)])]
    found = rate(trials["concept"], trials["verdict"])
    assert np.isnan([found.low, found.high]).all()
    assert found.value == pytest.approx(trials["verdict"].mean(), nan_ok=True)
    assert found.note == (TOO_FEW if concepts else NO_VALUE)


def test_draws_without_a_value_are_left_out_without_a_warning() -> None:
    ones = np.array([1.0, 1, 0, 0, 0, 0])  # a draw without the first two concepts has nothing to count
    values = np.array([1.0, 3, 0, 0, 0, 0])

    def mean(weights: Weights) -> NDArray[np.float64]:
        counted = weights @ ones
        return np.where(counted > 0, weights @ values, np.nan) / np.where(counted > 0, counted, 1)

    found = bootstrap(mean, 6, seed=1)
    assert (found.value, found.low, found.high) == (2, 1, 3)
    assert bootstrap(lambda weights: np.full(len(weights), np.nan), 6).note == NO_VALUE
