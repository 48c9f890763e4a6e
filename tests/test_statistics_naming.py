"""Naming against scipy, scikit-learn and models with known habits."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from introspect.results.statistics.clusters import bootstrap_frame
from introspect.results.statistics.naming import mutual_information, naming, rank_summary


def names(numbers: np.ndarray) -> pd.Series:
    return pd.Series([f"c{number}" for number in numbers])


def test_the_tests_are_exact_binomial_tests_against_chance_and_habit() -> None:
    injected = pd.Series(["a"] * 6 + ["b"] * 4)
    named = pd.Series(["a", "a", "a", "b", "b", "a", "b", "a", "a", None])
    habit = pd.Series(["a"] * 14 + ["b"] * 4 + ["c", None])
    found = naming(injected, named, habit, options=4)
    expected = (6 * (14 + 0.25) + 3 * (4 + 0.25)) / 9 / 20
    assert (found.k, found.n, found.unknown) == (5, 9, 1)
    assert found.habit == pytest.approx(expected)
    assert found.p_chance == pytest.approx(stats.binom.sf(4, 9, 0.25))
    assert found.p_habit == pytest.approx(stats.binom.sf(4, 9, expected))


def test_a_model_that_always_says_the_same_word_beats_chance_on_it_but_not_its_habit() -> None:
    injected, always = pd.Series(["sea"] * 30 + ["moon"] * 10), pd.Series(["sea"] * 40)
    found = naming(injected, always, always, options=10)
    assert found.p_chance < 1e-6
    assert found.p_habit > 0.05


def test_without_trials_or_without_a_habit_nothing_is_claimed() -> None:
    nothing = pd.Series([], dtype=object)
    assert np.isnan(
        [naming(nothing, nothing, nothing, options=4).rate, naming(nothing, nothing, nothing, options=4).p_chance]
    ).all()
    assert np.isnan(naming(pd.Series(["a"]), pd.Series(["a"]), nothing, options=4).p_habit)


@pytest.mark.parametrize("words", [10, 40])
def test_habits_alone_pass_for_naming_in_at_most_5_percent(words: int) -> None:
    rng, rejected = np.random.default_rng(0), []
    for _ in range(600):
        habits = np.append(rng.dirichlet(np.full(words, 0.5)) * 0.6, 0.4)  # the last name is no concept
        injected = rng.choice(words, 100, p=rng.dirichlet(np.ones(words)))
        named, before = rng.choice(words + 1, 100, p=habits), rng.choice(words + 1, 100, p=habits)
        rejected.append(naming(names(injected), names(named), names(before), options=words).p_habit <= 0.05)
    assert np.mean(rejected) <= 0.077  # three standard errors of 600 above 5%


def test_naming_one_time_in_four_is_found() -> None:
    rng, rejected = np.random.default_rng(1), []
    for _ in range(100):
        injected, guesses = np.repeat(np.arange(10), 10), rng.integers(0, 10, (2, 100))
        named = np.where(rng.random(100) < 0.25, injected, guesses[0])
        rejected.append(naming(names(injected), names(named), names(guesses[1]), options=10).p_habit <= 0.05)
    assert np.mean(rejected) > 0.95


def test_mutual_information_is_that_of_scikit_learn_and_leaves_out_what_was_not_named() -> None:
    rng = np.random.default_rng(0)
    injected, named = names(rng.integers(0, 6, 200)), names(rng.integers(0, 4, 200)).where(rng.random(200) < 0.9)
    known = named.notna()
    bits, _, _, n = mutual_information(injected, named, permutations=50)
    assert bits == pytest.approx(mutual_info_score(injected[known], named[known]) / np.log(2))
    assert n == known.sum()


def test_the_null_of_mutual_information_is_that_of_shuffled_names() -> None:
    rng = np.random.default_rng(0)
    injected = names(rng.integers(0, 5, 80))
    named = names(np.where(rng.random(80) < 0.2, injected.str[1:].astype(int), rng.integers(0, 5, 80)))
    bits, null, p, _ = mutual_information(injected, named)
    shuffled = np.array([mutual_info_score(injected, rng.permutation(named)) / np.log(2) for _ in range(1000)])
    assert null == pytest.approx(shuffled.mean(), rel=0.03)  # the error of 1000 shuffles is about 1%
    assert p == pytest.approx((shuffled >= bits).mean(), abs=0.04)


def test_unrelated_names_have_a_small_p_in_at_most_5_percent_and_a_mapping_always() -> None:
    rng = np.random.default_rng(0)
    ps = [
        mutual_information(names(rng.integers(0, 5, 60)), names(rng.geometric(0.4, 60)), permutations=199, seed=seed)[2]
        for seed in range(600)
    ]
    assert 0.02 <= np.mean([p <= 0.05 for p in ps]) <= 0.077
    injected = np.repeat(np.arange(5), 12)
    assert mutual_information(names(injected), names((injected + 1) % 5))[2] == pytest.approx(1 / 2000)


def test_a_mapping_of_all_concepts_carries_their_entropy() -> None:
    injected = np.repeat(np.arange(8), 5)
    assert mutual_information(names(injected), names(injected + 1))[0] == pytest.approx(3)


def test_ranks_are_summarised_as_numpy_would_and_resampled_by_concept() -> None:
    rng = np.random.default_rng(0)
    trials = pd.DataFrame({"concept": rng.integers(0, 12, 90), "rank": rng.geometric(0.2, 90) - 1.0})
    trials.loc[3, "rank"] = np.nan
    found = rank_summary(trials["concept"], trials["rank"], resamples=200)
    known = trials.dropna()
    assert found["first"].value == pytest.approx((known["rank"] == 0).mean())
    assert found["reciprocal_rank"].value == pytest.approx((1 / (known["rank"] + 1)).mean())
    slow = bootstrap_frame(known, lambda each: float(each["rank"].median()), method="percentile", resamples=200)
    assert found["median_rank"] == slow


@pytest.mark.slow
def test_the_intervals_of_ranks_cover_the_truth() -> None:
    rng, covered = np.random.default_rng(0), Counter[str]()
    population = pd.Series(np.floor(rng.lognormal(1.2, 1, 2_000_000)))
    whole = (population.median(), (population == 0).mean(), (1 / (population + 1)).mean())
    truth = dict(zip(("median_rank", "first", "reciprocal_rank"), whole, strict=True))
    concepts = pd.Series(np.repeat(np.arange(30), 8))
    for seed in range(1000):
        own = np.repeat(rng.normal(0, 0.6, 30), 8)
        ranks = pd.Series(np.floor(np.exp(1.2 + own + rng.normal(0, 0.8, 240))))
        found = rank_summary(concepts, ranks, resamples=300, seed=seed)
        covered.update(name for name, each in found.items() if each.low <= truth[name] <= each.high)
    assert 930 <= covered["first"] <= 970
    assert 930 <= covered["reciprocal_rank"] <= 970
    assert covered["median_rank"] >= 930  # ranks are whole numbers, so an interval that ends on the median is common
