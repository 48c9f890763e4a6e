"""Naming against scipy, scikit-learn and models with known habits."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from introspect.protocols import Occasion
from introspect.results.statistics.clusters import bootstrap_frame
from introspect.results.statistics.naming_tests import _permuted, mutual_information, naming, rank_summary


def names(numbers: np.ndarray) -> pd.Series:
    return pd.Series([f"c{number}" for number in numbers])


@dataclass(frozen=True)
class Choices:
    """Trials of a question with four words on offer, as the protocol `choose` asks it."""

    concepts: pd.Series
    offered: pd.Series


def asked(concepts: int, repeats: int) -> Choices:
    words = tuple(f"c{number}" for number in range(concepts))
    occasions = [Occasion(word, words, repeat) for word in words for repeat in range(repeats)]
    offered = [each.shuffled((each.concept, *each.others(3))) for each in occasions]
    return Choices(pd.Series([each.concept for each in occasions]), pd.Series(offered))


def blind(choices: Choices, likings: dict[str, float], rng: np.random.Generator) -> pd.Series:
    """Choose among the words on offer in proportion to a liking for each, whatever was injected."""
    given = []
    for words in choices.offered:
        weights = np.array([likings[word] for word in words])
        given.append(words[rng.choice(len(words), p=weights / weights.sum())])
    return pd.Series(given)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("repeats", [2, 6])
@pytest.mark.parametrize("alike", [0.3, 1.0])
def test_concepts_that_are_right_by_chance_in_all_their_trials_or_in_none_have_a_small_p_in_at_most_5_percent(
    repeats: int, alike: float
) -> None:
    rng, concepts, runs = np.random.default_rng(0), np.repeat(np.arange(16), repeats), 300
    small = 0
    for _ in range(runs):
        shared, own = rng.random(16)[concepts], rng.random(len(concepts))
        right = np.where(rng.random(16)[concepts] < alike, shared, own) < 0.25
        named = pd.Series(np.where(right, "a", "b"))
        injected, alone = pd.Series(["a"] * len(named)), pd.Series([None] * len(named), dtype="object")
        small += naming(injected, named, alone, pd.Series(concepts), options=4).p_chance <= 0.05
    assert small <= runs * 0.05 + 3 * np.sqrt(runs * 0.05 * 0.95)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("spread", [0, 3], ids=["no liking", "a strong liking"])
@pytest.mark.parametrize("repeats", [1, 4])
def test_who_chooses_blindly_among_the_words_on_offer_has_a_small_p_in_at_most_5_percent(
    spread: float, repeats: int
) -> None:
    rng, choices, small = np.random.default_rng(repeats), asked(16, repeats), Counter[str]()
    runs = 200
    for seed in range(runs):
        likings = {word: float(np.exp(spread * rng.normal())) for word in set(choices.concepts)}
        named, alone = blind(choices, likings, rng), blind(choices, likings, rng)
        found = naming(choices.concepts, named, alone, choices.concepts, options=4)
        _, _, p_bits, _ = mutual_information(choices.concepts, named, choices.offered, permutations=99, seed=seed)
        small.update({"chance": found.p_chance <= 0.05, "habit": found.p_habit <= 0.05, "bits": p_bits <= 0.05})
    assert max(small.values()) <= runs * 0.05 + 3 * np.sqrt(runs * 0.05 * 0.95)


def test_who_names_the_injected_word_one_time_in_three_is_found() -> None:
    rng, choices, small = np.random.default_rng(1), asked(12, 12), Counter[str]()
    for seed in range(20):
        guesses = [blind(choices, dict.fromkeys(set(choices.concepts), 1.0), rng) for _ in range(2)]
        named = choices.concepts.where(rng.random(len(choices.concepts)) < 1 / 3, guesses[0])
        found = naming(choices.concepts, named, guesses[1], choices.concepts, options=4)
        _, _, p_bits, _ = mutual_information(choices.concepts, named, choices.offered, permutations=99, seed=seed)
        small.update({"habit": found.p_habit <= 0.05, "bits": p_bits <= 0.05})
    assert min(small[name] for name in ("habit", "bits")) >= 18


def test_without_regard_to_the_words_on_offer_a_blind_choice_passes_for_naming() -> None:
    rng, choices = np.random.default_rng(0), asked(8, 60)
    named = blind(choices, dict.fromkeys(set(choices.concepts), 1.0), rng)
    assert mutual_information(choices.concepts, named, permutations=99)[2] == 0.01


def test_permuted_names_stay_among_the_words_on_offer_and_keep_their_numbers() -> None:
    rng = np.random.default_rng(0)
    allowed = rng.random((60, 6)) < 0.5
    columns = np.array([rng.choice(np.flatnonzero(row)) if row.any() else 0 for row in allowed])
    allowed[np.arange(60), columns] = True
    drawn = _permuted(columns, allowed, 50, rng)
    assert allowed[np.arange(60), drawn].all()
    assert (np.sort(drawn, axis=1) == np.sort(columns)).all()
    assert (drawn != columns).any(axis=1).all()


def test_the_habit_is_the_share_of_the_same_words_in_the_controls_of_the_same_trials() -> None:
    injected = pd.Series(["a", "a", "b", "b", "c"])
    named, alone = pd.Series(["a", "b", "b", "b", None]), pd.Series(["a", "a", "b", None, "c"])
    found = naming(injected, named, alone, injected, options=4)
    assert (found.k, found.n, found.unknown, found.rate) == (3, 4, 1, 0.75)
    assert found.habit == 1
    alike = found.p_chance
    apart = naming(injected, named, alone, pd.Series(range(5)), options=4).p_chance
    assert apart == pytest.approx(stats.binom.sf(2, 4, 0.25))  # exact where each trial has a concept of its own
    assert alike > apart
    assert found.p_habit == pytest.approx(1)  # two concepts, of which one was named less often


def test_who_is_never_right_is_no_better_than_chance() -> None:
    injected, named = pd.Series(["a", "b", "c"]), pd.Series(["b", "c", "a"])
    assert naming(injected, named, named, injected, options=4).p_chance == 1


def test_without_trials_or_without_controls_nothing_is_claimed() -> None:
    nothing = pd.Series([], dtype="str")
    found = naming(nothing, nothing, nothing, nothing, options=4)
    assert np.isnan([found.rate, found.low, found.p_chance, found.habit, found.p_habit]).all()
    one = pd.Series(["a"])
    alone = naming(one, one, pd.Series([None], dtype="str"), one, options=4)
    assert np.isnan([alone.habit, alone.p_habit]).all()
    assert alone.rate == 1


@pytest.mark.parametrize("n", [14, 200])
def test_mutual_information_is_that_of_scikit_learn_and_leaves_out_what_was_not_named(n: int) -> None:
    rng = np.random.default_rng(0)
    injected, named = names(rng.integers(0, 6, n)), names(rng.integers(0, 4, n)).where(rng.random(n) < 0.9)
    known = named.notna()
    bits, _, _, counted = mutual_information(injected, named, permutations=50)
    assert bits == pytest.approx(mutual_info_score(injected[known], named[known]) / np.log(2))
    assert counted == known.sum()


def test_names_that_have_nothing_to_do_with_the_concepts_carry_the_bits_that_chance_gives_and_a_large_p() -> None:
    rng, n = np.random.default_rng(0), 600
    injected, named = names(rng.integers(0, 6, n)), names(rng.integers(0, 4, n))
    bits, null, p, _ = mutual_information(injected, named, permutations=199)
    assert null == pytest.approx((6 - 1) * (4 - 1) / (2 * n * np.log(2)), rel=0.1)  # Miller (1955)
    assert p == pytest.approx(stats.chi2.sf(2 * n * np.log(2) * bits, 15), abs=0.1)
    assert 0.1 < p < 0.9


@pytest.mark.slow
def test_the_null_of_mutual_information_is_that_of_shuffled_names() -> None:
    rng = np.random.default_rng(0)
    injected = names(rng.integers(0, 5, 80))
    named = names(np.where(rng.random(80) < 0.2, injected.str[1:].astype(int), rng.integers(0, 5, 80)))
    bits, null, p, _ = mutual_information(injected, named)
    shuffled = np.array([mutual_info_score(injected, rng.permutation(named)) / np.log(2) for _ in range(1000)])
    assert null == pytest.approx(shuffled.mean(), rel=0.03)  # the error of 1000 shuffles is about 1%
    assert p == pytest.approx((shuffled >= bits).mean(), abs=0.04)


@pytest.mark.slow
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
