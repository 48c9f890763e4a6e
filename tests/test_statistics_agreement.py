"""Agreement against scikit-learn and statsmodels, and corrected rates of graders that err in a known way."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from introspect.results.statistics.agreement import (
    Calibration,
    _drawn_kappas,
    _kappa_size,
    agreement,
    calibration,
    corrected_rate,
)
from introspect.results.statistics.intervals import wilson

PERFECT = Calibration(hits=10**7, yes=10**7, rejections=10**7, no=10**7, unknown=0)


def verdicts(values: np.ndarray) -> pd.Series:
    return pd.Series(values).astype("boolean")


def two_graders(n: int, seed: int, right: float = 0.9, share: float = 0.3) -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    first, second = (np.where(rng.random(n) < right, truth, ~truth) for _ in range(2))
    return verdicts(first), verdicts(second)


def test_kappa_is_that_of_scikit_learn() -> None:
    first, second = two_graders(150, 0)
    assert agreement(first, second).kappa == pytest.approx(cohen_kappa_score(first.astype(bool), second.astype(bool)))


def test_with_many_trials_the_interval_is_that_of_statsmodels() -> None:
    first, second = two_graders(4000, 0)
    expected = cohens_kappa(pd.crosstab(first, second))
    found = agreement(first, second)
    assert (found.low, found.high) == pytest.approx((expected.kappa_low, expected.kappa_upp), abs=3e-3)


def test_a_verdict_that_is_missing_is_no_verdict_and_counted_apart() -> None:
    first, second = two_graders(100, 0)
    more = [
        pd.concat([each, verdicts(np.array(added))], ignore_index=True)
        for each, added in ((first, [None, None, True]), (second, [True, None, None]))
    ]
    found = agreement(*more)
    assert (found.n, found.unknown_first, found.unknown_second) == (100, 2, 2)
    assert found.kappa == agreement(first, second).kappa


def test_graders_that_never_disagree_have_an_interval_that_depends_on_how_often_they_could() -> None:
    few, many = (verdicts(np.arange(n) % 2 == 0) for n in (10, 200))
    assert agreement(few, few).kappa == agreement(many, many).kappa == 1
    assert agreement(few, few).low < agreement(many, many).low < 1


def test_kappa_of_constant_graders_is_undefined() -> None:
    yes = verdicts(np.full(20, True))
    assert np.isnan([agreement(yes, yes).kappa, agreement(yes, yes).low]).all()
    assert agreement(yes, verdicts(np.full(20, False))).kappa == 0
    assert agreement(yes[:0], yes[:0]).n == 0


@pytest.mark.parametrize(("n", "right"), [(60, 0.85), (300, 0.95)])
@pytest.mark.slow
def test_the_interval_of_kappa_covers_the_truth(n: int, right: float) -> None:
    observed, yes = right**2 + (1 - right) ** 2, 0.3 * right + 0.7 * (1 - right)
    expected = yes**2 + (1 - yes) ** 2
    truth = (observed - expected) / (1 - expected)
    found = [agreement(*two_graders(n, seed, right), seed=seed) for seed in range(1000)]
    assert 0.93 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.97


def test_sensitivity_and_specificity_are_rates_among_the_labels_with_wilson_intervals() -> None:
    labels = verdicts(np.array([True] * 5 + [False] * 6 + [None]))
    graded = verdicts(np.array([True] * 4 + [False] * 6 + [True, True]))
    found = calibration(graded, labels)
    assert found == Calibration(hits=4, yes=5, rejections=5, no=6, unknown=1)
    assert found.sensitivity == (0.8, *(float(each) for each in wilson(4, 5)))
    assert found.specificity[0] == pytest.approx(5 / 6)


def test_a_perfect_grader_leaves_the_rate_as_it_is_with_a_wilson_interval() -> None:
    value, low, high = corrected_rate(30, 100, PERFECT)
    assert value == pytest.approx(0.3)
    assert (low, high) == pytest.approx([float(each) for each in wilson(30, 100)], abs=0.005)


def test_the_expected_rate_of_an_erring_grader_is_corrected_to_the_truth() -> None:
    judge = Calibration(hits=80, yes=100, rejections=76, no=100, unknown=0)
    shown = 0.25 * 0.80 + 0.75 * 0.24
    assert corrected_rate(1000 * shown, 1000, judge)[0] == pytest.approx(0.25)


def test_fewer_labels_make_the_corrected_interval_wider() -> None:
    widths = []
    for labelled in (20, 100, 10**7):
        judge = Calibration(*(int(labelled * share) for share in (0.8, 1, 0.8, 1)), unknown=0)
        _, low, high = corrected_rate(150, 400, judge)
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]


def test_false_alarms_alone_are_corrected_to_nothing() -> None:
    judge = Calibration(hits=50, yes=50, rejections=38, no=50, unknown=0)
    value, low, _ = corrected_rate(24, 100, judge)
    assert (value, low) == (0, 0)


@pytest.mark.parametrize("counts", [(0, 0, 10, 10), (10, 10, 0, 0), (5, 10, 5, 10), (2, 10, 3, 10)])
def test_a_grader_without_calibration_or_no_better_than_a_coin_corrects_nothing(counts: tuple[int, ...]) -> None:
    assert np.isnan(corrected_rate(5, 20, Calibration(*counts, unknown=0))).all()


@pytest.mark.parametrize("truth", [0.2, 0.5])
def test_the_corrected_interval_covers_the_true_rate_and_the_raw_one_does_not(truth: float) -> None:
    rng, covered, raw = np.random.default_rng(0), [], []
    shown = truth * 0.9 + (1 - truth) * 0.2
    for _ in range(1000):
        judge = Calibration(rng.binomial(100, 0.9), 100, rng.binomial(100, 0.8), 100, unknown=0)
        k = rng.binomial(300, shown)
        _, low, high = corrected_rate(k, 300, judge)
        covered.append(low <= truth <= high)
        raw.append(wilson(k, 300)[0] <= truth <= wilson(k, 300)[1])
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean(raw) < 0.6


def test_kappa_rests_on_as_many_trials_as_the_jackknife_over_concepts_says() -> None:
    rng, concepts = np.random.default_rng(0), np.repeat(np.arange(60), 10)
    one = rng.random(600) < 0.4
    other = np.where(rng.random(600) < rng.beta(2, 1, 60)[concepts], one, rng.random(600) < 0.5)

    def variance(groups: np.ndarray) -> float:
        known = np.unique(groups)
        left = np.array([cohen_kappa_score(one[groups != each], other[groups != each]) for each in known])
        return float((len(known) - 1) * ((left - left.mean()) ** 2).mean())

    effect = variance(concepts) / variance(np.arange(600))
    assert effect > 1.5
    size = _kappa_size(verdicts(one), verdicts(other), pd.Series(concepts), None)
    assert size == pytest.approx(600 / effect, rel=0.05)


def test_with_few_categories_each_pair_of_them_is_drawn_also_one_that_never_occurred() -> None:
    counts = np.diag([2.0, 2, 2, 2])
    counts[0, 1], counts[2, 0] = 1, 3
    whole = np.random.default_rng(0).dirichlet((counts + 1 / counts.size).ravel(), 40_000).reshape(-1, *counts.shape)
    by_chance = (whole.sum(1) * whole.sum(2)).sum(1)
    expected = (np.trace(whole, axis1=1, axis2=2) - by_chance) / (1 - by_chance)
    found = np.concatenate([_drawn_kappas(counts, np.random.default_rng(seed)) for seed in range(1, 11)])
    assert found.mean() == pytest.approx(expected.mean(), abs=0.005)  # six standard errors of 40,000 draws
