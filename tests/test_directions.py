"""What is added in each arm: the concept's vector or another one, always of exactly its norm where it is a control."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from introspect.concepts.partners import BOUND, drawn_partners, opposites, unqualified
from introspect.concepts.prompt_states import PromptStates
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.injection.engine.failures import UnreachableError
from introspect.injection.engine.vectors_of_arms import (
    added_vector,
    direction_in_span,
    permutation,
    random_direction,
    swapped_direction,
    swapped_prompts,
)
from introspect.records.trial import Injection, Site, Trial
from tests.made import trial

SITE = Site(1, 0)
VECTORS = ConceptVectors(("dust", "void"), torch.randn(2, 3, 2, 64, generator=torch.Generator().manual_seed(0)), {})
VECTORS.values[1] = 0.0


def at(strength: float = 2.0, extract_loop: int | None = None, unit: str = "vector", **changes: object) -> Trial:
    injection = Injection((SITE,), strength, "v0", extract_loop, unit)  # type: ignore[arg-type]
    return trial(injection=injection, **changes)


def test_the_injected_arm_adds_strength_times_the_vector() -> None:
    vector = VECTORS.values[0, 1, 0].double()
    assert torch.equal(added_vector(at(-1.5), SITE, VECTORS), -1.5 * vector)
    assert torch.equal(added_vector(at(1.0, extract_loop=2), SITE, VECTORS), VECTORS.values[0, 2, 0].double())


def test_the_negated_arm_adds_the_opposite() -> None:
    assert torch.equal(added_vector(at(arm="negated"), SITE, VECTORS), -added_vector(at(), SITE, VECTORS))


def test_the_shuffled_arm_adds_the_same_numbers_in_an_order_of_the_trial_alone() -> None:
    whole, shuffled = (added_vector(at(arm=arm), SITE, VECTORS) for arm in ("injected", "shuffled"))
    assert torch.equal(shuffled.sort().values, whole.sort().values)
    assert not torch.equal(shuffled, whole)
    order = permutation(7, 64)
    for site in (Site(0, 0), Site(2, 1)):
        for strength in (1.0, -3.0):
            made = added_vector(at(strength, arm="shuffled", seed=7), site, VECTORS)
            assert torch.equal(made, strength * VECTORS.at("dust", site).double()[order])
    assert not torch.equal(permutation(8, 64), order)
    assert torch.equal(order.sort().values, torch.arange(64))


def test_orders_are_drawn_evenly() -> None:
    firsts = torch.stack([permutation(seed, 8) for seed in range(4000)])[:, 0]
    counts = torch.bincount(firsts, minlength=8)
    assert (counts - 500).abs().max() < 5 * (4000 / 8 * 7 / 8) ** 0.5  # five standard errors


def test_the_wrong_arm_adds_the_vector_of_the_partner() -> None:
    wrong = at(arm="wrong", concept="void", partner="dust")
    assert torch.equal(added_vector(wrong, SITE, VECTORS), added_vector(at(concept="dust"), SITE, VECTORS))


@pytest.mark.parametrize("n_words", [2, 3, 12])
def test_the_opposite_is_the_other_concept_of_the_least_mean_cosine_over_all_sites(n_words: int) -> None:
    words = tuple(f"word{number}" for number in range(n_words))
    values = torch.randn(n_words, 3, 2, 16, generator=torch.Generator().manual_seed(1)) + 0.5
    vectors = ConceptVectors(words, values, {})
    sites = [Site(loop, layer) for loop in range(3) for layer in range(2)]
    cosines = torch.stack([vectors.cosines(site) for site in sites]).mean(0)
    found = opposites(words, vectors.mean_cosines().numpy())
    for index, word in enumerate(words):
        partner = words.index(found[word])
        assert partner != index
        assert cosines[index, partner] == min(cosines[index, other] for other in range(n_words) if other != index)


def test_one_concept_alone_has_no_partner() -> None:
    with pytest.raises(InputError, match="1 concepts: the arm wrong needs at least 2"):
        opposites(("dust",), np.ones((1, 1)))
    with pytest.raises(InputError, match="1 concepts: the arm wrong needs at least 2"):
        drawn_partners(("dust",), np.ones((1, 1)))


def likeness(n_words: int, seed: int = 0) -> np.ndarray:
    """Cosines of vectors that have a common part, as a shared baseline leaves one."""
    drawn = np.random.default_rng(seed).normal(size=(n_words, 24)) + 0.2
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


def test_drawn_partners_are_used_once_each_of_another_category_and_little_alike() -> None:
    words = tuple(f"word{number}" for number in range(48))
    kinds, cosines = {word: f"kind{place % 6}" for place, word in enumerate(words)}, likeness(48)
    partners = drawn_partners(words, cosines, categories=kinds)
    assert sorted(partners.values()) == sorted(words)
    for word, partner in partners.items():
        assert kinds[word] != kinds[partner]
        assert abs(cosines[words.index(word), words.index(partner)]) < BOUND
    mean = np.mean([cosines[words.index(word), words.index(other)] for word, other in partners.items()])
    assert abs(mean) < 0.1
    least = opposites(words, cosines)
    assert np.mean([cosines[words.index(word), words.index(other)] for word, other in least.items()]) < -0.3


def test_the_draw_of_partners_is_that_of_the_seed_and_even() -> None:
    words, cosines = tuple("abcdefgh"), np.eye(8)
    assert drawn_partners(words, cosines, seed=3) == drawn_partners(words, cosines, seed=3)
    counts = Counter(pair for seed in range(700) for pair in drawn_partners(words, cosines, seed=seed).items())
    assert len(counts) == 56
    assert max(abs(count - 100) for count in counts.values()) < 5 * 10  # five standard errors


def test_where_all_pairs_are_too_like_each_word_still_has_another_and_each_is_used_once() -> None:
    words = tuple("abcd")
    partners = drawn_partners(words, np.full((4, 4), 0.9), categories=dict.fromkeys(words, "one"))
    assert sorted(partners.values()) == list(words)
    assert all(word != other for word, other in partners.items())


def test_a_random_direction_of_an_aligned_injection_is_that_of_the_layer_whatever_the_loop() -> None:
    sites = tuple(Site(loop, layer) for loop in range(3) for layer in range(2))
    for aligned in (False, True):
        injection = Injection(sites, 1.0, "v0", aligned=aligned)
        made = torch.stack([random_direction(7, site, injection, 64) for site in sites])
        cosines = made @ made.T
        for first, second in permutations(range(6), 2):
            same = aligned and sites[first].layer == sites[second].layer
            assert cosines[first, second].item() == pytest.approx(1) if same else abs(cosines[first, second]) < 0.6


def test_a_random_direction_has_exactly_the_norm_of_the_vector() -> None:
    for seed in range(50):
        for extract_loop in (None, 0, 2):
            made = added_vector(at(3.0, extract_loop, arm="random", seed=seed), SITE, VECTORS)
            norm = VECTORS.at("dust", SITE, extract_loop).double().norm()
            assert made.norm().item() == pytest.approx(3 * norm.item(), rel=1e-14)


def test_a_dose_ladder_climbs_along_one_random_direction() -> None:
    low, high = (added_vector(at(strength, arm="random"), SITE, VECTORS) for strength in (1.0, 4.0))
    assert torch.equal(4 * low, high)


def test_random_directions_differ_by_seed_site_and_extraction_loop() -> None:
    injection = at().injection
    assert injection is not None
    other = at(extract_loop=0).injection
    assert other is not None
    made = [random_direction(seed, Site(*site), injection, 64) for seed in (1, 2) for site in ((0, 0), (0, 1), (1, 0))]
    made.append(random_direction(1, Site(0, 0), other, 64))
    cosines = torch.stack(made) @ torch.stack(made).T - torch.eye(len(made))
    assert cosines.abs().max() < 0.6


def test_random_directions_are_spread_evenly() -> None:
    injection = at().injection
    assert injection is not None
    made = torch.stack([random_direction(seed, SITE, injection, 8) for seed in range(4000)])
    assert made.mean(0).abs().max() < 5 * (1 / 8 / 4000) ** 0.5  # five standard errors
    assert torch.allclose(made.T @ made / 4000, torch.eye(8).double() / 8, atol=0.01)


@pytest.mark.parametrize("arm", ["injected", "random", "negated", "shuffled"])
def test_in_residual_units_the_norm_is_strength_times_residual_norm(arm: str) -> None:
    made = added_vector(at(0.5, unit="residual", arm=arm), SITE, VECTORS, residual_norm=12.0)
    assert made.norm().item() == pytest.approx(6.0, rel=1e-14)
    unscaled = added_vector(at(1.0, arm=arm), SITE, VECTORS)
    assert torch.allclose(made / made.norm(), unscaled / unscaled.norm())


@pytest.mark.parametrize("arm", ["injected", "random", "negated", "shuffled"])
def test_in_nats_the_vector_is_multiplied_with_what_gives_the_dose(arm: str) -> None:
    made = added_vector(at(0.25, unit="kl", arm=arm), SITE, VECTORS, multiplier=3.0)
    assert torch.equal(made, added_vector(at(3.0, arm=arm), SITE, VECTORS))


def test_a_zero_vector_has_no_direction_to_scale() -> None:
    with pytest.raises(UnreachableError, match="the vector at site 1:0 is zero"):
        added_vector(at(1.0, unit="residual", concept="void"), SITE, VECTORS, residual_norm=12.0)
    assert added_vector(at(1.0, concept="void"), SITE, VECTORS).norm() == 0


def test_partners_that_do_not_qualify_are_named_and_none_where_a_matching_qualifies() -> None:
    words, kinds = ("ash", "oak", "sea", "tin"), {"ash": "tree", "oak": "tree", "sea": "place", "tin": "thing"}
    free = np.eye(4)
    assert unqualified(words, free, drawn_partners(words, free, categories=kinds), categories=kinds) == []
    of_one = dict.fromkeys(words, "tree")
    assert len(unqualified(words, free, drawn_partners(words, free, categories=of_one), categories=of_one)) == 4
    alike = np.full((4, 4), BOUND) + np.eye(4) * (1 - BOUND)
    assert len(unqualified(words, alike, drawn_partners(words, alike))) == 4
    assert unqualified(words, alike - 1e-9, drawn_partners(words, alike - 1e-9)) == []


MANY = ConceptVectors(
    tuple(f"word{number}" for number in range(6)),
    torch.randn(6, 3, 2, 64, generator=torch.Generator().manual_seed(2))
    * torch.tensor([1.0, 1, 1, 1, 4, 4])[:, None, None, None],
    {},
)


def test_a_direction_in_span_has_exactly_the_norm_and_lies_in_the_span_of_the_differences_of_other_concepts() -> None:
    others = MANY.values[1:, 1, 0].double()
    basis = torch.linalg.qr((others - others.mean(0)).T[:, :4]).Q
    for seed in range(20):
        made = added_vector(at(3.0, arm="in-span", concept="word0", seed=seed), SITE, MANY)
        assert made.norm().item() == pytest.approx(3 * MANY.at("word0", SITE).double().norm().item(), rel=1e-14)
        assert torch.allclose(basis @ (basis.T @ made), made)
        free = added_vector(at(3.0, arm="random", concept="word0", seed=seed), SITE, MANY)
        assert (basis @ (basis.T @ free)).norm() < 0.6 * free.norm()


def test_directions_in_span_are_drawn_with_the_covariance_of_the_other_concepts() -> None:
    others = MANY.values[1:, 1, 0].double()
    covariance = torch.cov(others.T)
    first = torch.linalg.eigh(covariance).eigenvectors[:, -1]
    made = torch.stack(
        [direction_in_span(at(arm="in-span", concept="word0", seed=seed), SITE, MANY) for seed in range(2000)]
    )
    along = ((made @ first) ** 2).mean()
    assert along > 0.4  # two large vectors make most of the covariance; evenly drawn in four dimensions it were .25
    assert made.mean(0).norm() < 0.1


def test_a_direction_in_span_is_the_same_at_any_strength_and_of_an_aligned_injection_in_any_loop() -> None:
    one, two = (added_vector(at(s, arm="in-span", concept="word0", seed=3), SITE, MANY) for s in (1.0, 2.0))
    assert torch.allclose(2 * one, two)
    alike = ConceptVectors(MANY.words, MANY.values[:, :1].expand(-1, 3, -1, -1).contiguous(), {})
    sites = (Site(0, 1), Site(2, 1))
    for aligned in (False, True):
        trials = trial(injection=Injection(sites, 1.0, "v0", aligned=aligned), arm="in-span", concept="word0")
        made = [direction_in_span(trials, site, alike) for site in sites]
        assert torch.allclose(*made) is aligned


def test_others_that_do_not_differ_have_no_direction() -> None:
    with pytest.raises(UnreachableError, match="the vectors of the other concepts at site 1:0 do not differ"):
        added_vector(at(arm="in-span", concept="void"), SITE, VECTORS)


TEXTS = ("The door is open.", "He sat down.", "Words were said.", "It went well.", "They met at six.")
NEUTRAL = replace(
    MANY,
    states=PromptStates(TEXTS, torch.randn(5, 3, 2, 64, generator=torch.Generator().manual_seed(4)) + 10, {}),
)


def test_a_swap_adds_what_one_prompt_has_more_than_another_at_the_norm_of_the_vector() -> None:
    assert NEUTRAL.states is not None
    drawn = set()
    for seed in range(30):
        for extract_loop in (None, 2):
            made = added_vector(at(3.0, extract_loop, arm="swap", concept="word0", seed=seed), SITE, NEUTRAL)
            states = NEUTRAL.states.values[:, 1 if extract_loop is None else extract_loop, 0].double()
            first, other = swapped_prompts(seed, "word0", TEXTS)
            norm = NEUTRAL.at("word0", SITE, extract_loop).double().norm()
            assert made.norm().item() == pytest.approx(3 * norm.item(), rel=1e-14)
            assert torch.allclose(
                made / made.norm() * torch.dist(states[other], states[first]), states[other] - states[first]
            )
            drawn.add((first, other))
    assert len(drawn) > 10


def test_a_swap_is_of_the_same_two_prompts_at_every_site_and_strength_and_of_others_for_another_seed() -> None:
    assert NEUTRAL.states is not None
    alike = replace(NEUTRAL.states, values=NEUTRAL.states.values[:, :1, :1].expand(-1, 3, 2, -1).contiguous())
    vectors = replace(NEUTRAL, states=alike)
    made = [
        swapped_direction(at(arm="swap", concept="word0", seed=3), Site(*site), vectors) for site in ((0, 0), (2, 1))
    ]
    assert torch.equal(*made)
    one, two = (added_vector(at(s, arm="swap", concept="word0", seed=3), SITE, NEUTRAL) for s in (1.0, 2.0))
    assert torch.equal(2 * one, two)
    assert not torch.allclose(made[0], swapped_direction(at(arm="swap", concept="word0", seed=4), Site(0, 0), vectors))


def test_two_different_prompts_are_drawn_evenly_in_both_orders_and_none_that_names_the_concept() -> None:
    counts = Counter(swapped_prompts(seed, "doors", TEXTS) for seed in range(1200))
    assert set(counts) == set(permutations(range(1, 5), 2))
    assert max(abs(count - 100) for count in counts.values()) < 5 * 10  # five standard errors
    with pytest.raises(UnreachableError, match="concept 'doors' occurs in all neutral prompts but 1"):
        swapped_prompts(0, "doors", ("The door.", "A doorway.", "He sat."))


def test_prompts_whose_states_do_not_differ_have_no_direction() -> None:
    still = replace(NEUTRAL, states=PromptStates(("a", "b"), torch.ones(2, 3, 2, 64), {}))
    with pytest.raises(UnreachableError, match="the states of the two prompts at site 1:0 do not differ"):
        added_vector(at(arm="swap", concept="word0"), SITE, still)
