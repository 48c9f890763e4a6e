"""Intervals of rates whose trials are alike within a concept, on runs whose truth is known."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from introspect.results.statistics import clustered_rate, clustered_rates, wilson
from introspect.results.statistics.clustered_rates import _PRIOR, within_concepts

RUNS = 1000


def drawn(
    concepts: int, trials: int, icc: float, rate: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw verdicts whose correlation within a concept is `icc`, `(run, concept)`."""
    own = np.full((RUNS, concepts), rate)
    if icc == 1:
        own = (rng.random((RUNS, concepts)) < rate).astype(float)
    elif icc:
        own = rng.beta(rate * (1 / icc - 1), (1 - rate) * (1 / icc - 1), (RUNS, concepts))
    return rng.binomial(trials, own).astype(float), np.full((RUNS, concepts), float(trials))


@pytest.mark.parametrize("icc", [0, 0.2, 0.5, 1])
def test_the_interval_covers_the_rate_however_alike_the_trials_of_a_concept_are(icc: float) -> None:
    rng = np.random.default_rng(7)
    for concepts, trials, rate in product((5, 12, 24, 50), (1, 4, 12), (0.02, 0.1, 0.5, 0.9, 0.98)):
        low, high, *_ = clustered_rates(*drawn(concepts, trials, icc, rate, rng))
        covered = ((low <= rate) & (rate <= high)).mean()
        assert covered > 0.89 - 3 * np.sqrt(0.89 * 0.11 / RUNS), (concepts, trials, rate)


def test_wilson_of_trials_as_if_independent_does_not_cover() -> None:
    k, n = drawn(24, 12, 0.5, 0.3, np.random.default_rng(0))
    low, high = wilson(k.sum(axis=1), n.sum(axis=1))
    assert ((low <= 0.3) & (high >= 0.3)).mean() < 0.65


def test_one_trial_a_concept_gives_wilson_with_a_t_quantile() -> None:
    low, high, independent, concepts = clustered_rates(np.eye(24)[0], np.ones(24))
    assert (low, high) == wilson(1, 24, freedom=23)
    assert (independent, concepts) == (24, 24)


@pytest.mark.parametrize(("k", "n"), [([0, 0], [3, 0]), ([2], [2]), ([0, 0, 0], [1, 1, 1]), ([5, 5], [5, 5])])
def test_wherever_there_is_a_verdict_there_is_an_interval(k: list[int], n: list[int]) -> None:
    low, high, *_ = clustered_rates(k, n)
    assert 0 <= low <= sum(k) / sum(n) <= high <= 1


def test_nothing_counted_has_no_interval() -> None:
    low, high, independent, concepts = clustered_rates([[0, 0], [1, 0]], [[0, 0], [2, 2]])
    assert np.isnan([low[0], high[0], independent[0]]).all()
    assert concepts[0] == 0
    assert np.isfinite([low[1], high[1], independent[1]]).all()


def test_concepts_that_each_always_say_the_same_count_as_one_trial_each() -> None:
    k = np.repeat([6.0, 0.0], 20)
    assert within_concepts(k, np.full(40, 6.0)) == pytest.approx(1)
    assert clustered_rates(k, np.full(40, 6.0)).independent == pytest.approx(40)


def test_the_correlation_within_concepts_is_that_of_an_analysis_of_variance_averaged_with_one() -> None:
    k, n = np.array([5.0, 1, 3, 0, 4, 2]), 6
    groups = [np.repeat([1.0, 0.0], [yes, n - yes]) for yes in k.astype(int)]
    f = float(stats.f_oneway(*groups).statistic)
    expected = (5 * (f - 1) / (f + n - 1) + _PRIOR) / (5 + _PRIOR)  # five concepts hold a yes, and all six a no
    assert within_concepts(k, np.full(6, float(n))) == pytest.approx(expected)


def test_missing_verdicts_are_in_no_count() -> None:
    verdicts = pd.Series([True, None, False, True], dtype="boolean")
    found = clustered_rate(pd.Series(["a", "a", "b", "c"]), verdicts)
    assert found == (pytest.approx(2 / 3), *(float(each) for each in wilson(2, 3, freedom=2)))
