"""Numbers of trials against known figures, against simulated runs, and correlations against an F test."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from introspect.errors import InputError
from introspect.results.statistics.flips import sign_flips
from introspect.results.statistics.power_simulation import (
    LARGE,
    Setting,
    concepts_needed,
    design_effect,
    intraclass_correlation,
    power_of,
)


def test_near_0_the_power_is_that_of_fishers_exact_test_and_not_of_a_formula() -> None:
    effect = proportion_effectsize(0.1, 0.0)
    formula = NormalIndPower().power(effect, 38, 0.05, alternative="two-sided")
    k = np.arange(39)
    exact = sum(
        stats.binom.pmf(yes, 38, 0.1) for yes in k if stats.fisher_exact([[yes, 38 - yes], [0, 38]]).pvalue <= 0.05
    )
    found = power_of(Setting(0.1, 0.0), 38)
    assert formula > 0.75
    assert exact < 0.25
    assert found == pytest.approx(exact, abs=0.15)


@pytest.mark.parametrize("icc", [0.0, 0.3])
def test_other_runs_of_that_size_find_the_difference_as_often_as_said(icc: float) -> None:
    setting = Setting(0.4, 0.15, repeats=3, icc=icc)
    concepts = concepts_needed(setting)
    rng, found = np.random.default_rng(9), 0
    for _ in range(400):
        own = [rng.beta(p * (1 / icc - 1), (1 - p) * (1 / icc - 1), concepts) if icc else p for p in (0.4, 0.15)]
        first, second = (rng.binomial(3, each, concepts) / 3 for each in own)
        found += sign_flips((first - second)[:, None], flips=999).p[0] <= 0.05
    assert found / 400 == pytest.approx(0.8, abs=0.08)  # three standard errors of 400 runs and of the search
    assert power_of(setting, concepts) >= 0.8 > power_of(setting, concepts - 1)


def test_rates_that_are_equal_are_told_apart_no_oftener_than_alpha() -> None:
    for rate in (0.02, 0.5):
        assert power_of(Setting(rate, rate, repeats=4, icc=0.3), 24) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_five_concepts_tell_nothing_apart_by_sign_flips() -> None:
    assert power_of(Setting(1.0, 0.0), 5) == 0
    assert concepts_needed(Setting(1.0, 0.0)) == 6
    assert concepts_needed(Setting(1.0, 0.0, cells=64)) == 12


def test_many_concepts_are_judged_as_simulation_would() -> None:
    setting = Setting(0.2, 0.14, repeats=2, icc=0.2)
    assert power_of(setting, LARGE + 1) == pytest.approx(power_of(setting, LARGE), abs=0.06)
    assert 1e8 < concepts_needed(Setting(0.2, 0.2001)) < 1e9


def test_correlated_trials_count_for_less() -> None:
    assert design_effect(10, 0.2) == pytest.approx(2.8)
    one, many = (concepts_needed(Setting(0.3, 0.05, repeats=10, icc=icc)) for icc in (0.0, 0.5))
    assert one < many <= concepts_needed(Setting(0.3, 0.05)) + 2


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
        ({"repeats": 0.5}, "0.5 trials a concept"),
    ],
)
def test_impossible_plans_are_refused(options: dict[str, float], message: str) -> None:
    power = {name: options.pop(name) for name in ["power"] if name in options}
    with pytest.raises(InputError, match=message):
        concepts_needed(Setting(**{"rate": 0.2, "control_rate": 0.02, **options}), **power)  # type: ignore[arg-type]
