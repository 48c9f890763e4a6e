"""Numbers of trials against known figures, against simulated runs, and correlations against an F test."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from introspect.errors import InputError
from introspect.results.statistics.power import (
    design_effect,
    effective_trials,
    intraclass_correlation,
    power_of,
    trials_per_arm,
)


@pytest.mark.parametrize(
    ("rate", "control", "cells", "trials"),
    # a table with the quantile rounded to 3.36 has 954 for the last
    [
        (0.2, 0.02, 1, 38),
        (0.2, 0.02, 64, 86),
        (0.1, 0.02, 1, 122),
        (0.1, 0.02, 64, 273),
        (0.1, 0.05, 1, 424),
        (0.1, 0.05, 64, 953),
    ],
)
def test_the_trials_per_arm_are_the_known_ones(rate: float, control: float, cells: int, trials: int) -> None:
    assert trials_per_arm(rate, control, cells=cells) == trials
    assert trials_per_arm(control, rate, cells=cells) == trials


@pytest.mark.parametrize(("rate", "control"), [(0.1, 0.05), (0.6, 0.5)])
def test_simulated_runs_of_that_size_find_the_difference_as_often_as_said(rate: float, control: float) -> None:
    trials, rng = trials_per_arm(rate, control), np.random.default_rng(0)
    first, second = rng.binomial(trials, rate, 20_000), rng.binomial(trials, control, 20_000)
    h = 2 * np.arcsin(np.sqrt(first / trials)) - 2 * np.arcsin(np.sqrt(second / trials))
    assert np.mean(np.abs(h) * np.sqrt(trials / 2) > stats.norm.isf(0.025)) == pytest.approx(0.8, abs=0.02)


def test_power_is_the_inverse_of_the_number_of_trials() -> None:
    trials = trials_per_arm(0.2, 0.02, power=0.9, cells=10, per_concept=4, icc=0.3)
    options = {"cells": 10, "per_concept": 4, "icc": 0.3}
    assert power_of(0.2, 0.02, trials, **options) >= 0.9 > power_of(0.2, 0.02, trials - 2, **options)  # type: ignore[arg-type]


def test_correlated_trials_count_for_less() -> None:
    assert design_effect(10, 0.2) == pytest.approx(2.8)
    assert round(effective_trials(500, 10, 0.2)) == 179
    assert trials_per_arm(0.2, 0.02, per_concept=10, icc=0.2) == 107  # 37.9 * 2.8
    assert effective_trials(500, 10, 0) == 500
    assert effective_trials(500, 10, 1) == 50


def test_the_mean_of_correlated_trials_varies_as_the_design_effect_says() -> None:
    rng = np.random.default_rng(0)
    rates = rng.beta(0.2 * 4, 0.8 * 4, (4000, 50))  # intra-class correlation 1 / (4 + 1)
    means = rng.binomial(10, rates).sum(axis=1) / 500
    assert means.var() == pytest.approx(0.2 * 0.8 / effective_trials(500, 10, 0.2), rel=0.1)


def test_the_correlation_is_that_of_the_f_test() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.normal(rng.normal(), 1, size) for size in (4, 7, 3, 9, 5)]
    sizes = np.array([len(group) for group in groups])
    f, size = stats.f_oneway(*groups).statistic, (sizes.sum() - (sizes**2).sum() / sizes.sum()) / 4
    pilot = pd.DataFrame({"concept": np.repeat(list("abcde"), sizes), "value": np.concatenate(groups)})
    assert intraclass_correlation(pilot, "value") == pytest.approx((f - 1) / (f - 1 + size))


def test_a_planted_correlation_is_found_and_arms_are_not_taken_for_concepts() -> None:
    rng = np.random.default_rng(0)
    rates = rng.beta(0.4 * 4, 0.6 * 4, 1500)
    concept = np.repeat(np.arange(1500), 6)
    injected = pd.DataFrame({"concept": concept, "arm": "injected", "yes": rng.random(9000) < rates[concept]})
    none = pd.DataFrame({"concept": concept, "arm": "none", "yes": False})
    both = pd.concat([injected, none], ignore_index=True).astype({"yes": "boolean"})
    assert intraclass_correlation(injected, "yes") == pytest.approx(0.2, abs=0.03)
    assert intraclass_correlation(both, "yes", by=("arm",)) == pytest.approx(0.2, abs=0.03)


def test_no_correlation_can_be_seen_without_two_trials_a_concept_or_without_variation() -> None:
    pilot = pd.DataFrame({"concept": list("abc"), "value": [1.0, 2.0, 3.0]})
    assert np.isnan(intraclass_correlation(pilot, "value"))
    assert np.isnan(intraclass_correlation(pd.concat([pilot.assign(value=1.0)] * 2), "value"))
    assert intraclass_correlation(pd.concat([pilot] * 2), "value") == 1
    opposed = pd.DataFrame({"concept": list("aabb"), "value": [0.0, 1.0, 0.0, 1.0]})
    assert intraclass_correlation(opposed, "value") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 1.2}, "rate 1.2: must lie between 0 and 1"),
        ({"rate": 0.02}, "both rates are 0.02"),
        ({"power": 1.0}, "alpha 0.05 and power 1.0"),
        ({"power": 0.04}, "alpha below power"),
        ({"cells": 0}, "0 cells: must be at least 1"),
        ({"icc": 1.5}, "intra-class correlation 1.5"),
        ({"per_concept": 0.5}, "0.5 trials a concept"),
    ],
)
def test_impossible_plans_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        trials_per_arm(**{"rate": 0.2, "control_rate": 0.02, **options})  # type: ignore[arg-type]
