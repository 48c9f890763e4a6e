"""The engine against an oracle: plain forward hooks, one trial at a time, the whole prompt anew for every token."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch

from introspect.injection.engine.engine import prompt_key
from introspect.injection.plan.plan import trial_seed
from introspect.injection.prefix.prefix import prefill
from introspect.models.tap import Tap
from introspect.records.response import Readout, Response
from introspect.records.trial import Sampling, Site, Trial
from tests.injected import ARMS, SPANS, VARIED, Bench, bench, responses
from tests.oracle import hooked, numbers, oracle, said_along, weights_of

ROUNDING = 1e-11
"""Of float64, in logits of size 10 after some 20 products."""


@pytest.fixture(scope="module")
def exact() -> Bench:
    return bench(torch.float64)


def agree(on: Bench, trials: list[Trial], rounding: float = ROUNDING) -> list[Response]:
    """Run trials through the engine, all in one call, and hold each against the oracle."""
    answers = responses(on.engine.run(trials))
    for trial, answer in zip(trials, answers, strict=True):
        tokens, readouts = oracle(on, trial, answer.token_ids)
        assert answer.token_ids == tokens, trial
        assert torch.allclose(numbers(answer.readouts), numbers(readouts), atol=rounding, rtol=0), trial
        assert ranks(answer.readouts) == ranks(readouts), trial
    return answers


def ranks(readouts: list[Readout] | tuple[Readout, ...]) -> list[int | None]:
    return [readout.concept_rank for readout in readouts]


@pytest.mark.parametrize(("dtype", "rounding", "n"), [(torch.float32, 3e-4, 16), (torch.float64, ROUNDING, 44)])
def test_mixed_batches_equal_plain_hooks_one_trial_at_a_time_without_a_cache(
    dtype: torch.dtype, rounding: float, n: int
) -> None:
    on = bench(dtype)
    on.looped.end_of_turn = tuple(range(0, len(on.looped.tokenizer), 4))  # so that rows leave at different steps
    trials = on.mixed(seed=2, n=n)
    answers = agree(on, trials, rounding)
    assert len({len(answer.token_ids) for answer in answers}) > 3
    if n > 40:
        assert set(Counter(trial.arm for trial in trials)) == {*ARMS, "none"}
        assert {trial.n_loops for trial in trials} == {1, 2, 3, 4}
        assert any(trial.variables for trial in trials)


def test_the_oracle_does_feel_every_injection_that_can_be_felt(exact: Bench) -> None:
    felt = 0
    for trial in exact.mixed(seed=1, n=44):
        if trial.injection is None:
            continue
        control = replace(trial, injection=None, arm="none", partner=None)
        one, other = (said_along(exact, each, ())[-1] for each in (trial, control))
        assert ((one - other).abs().max() > 1e-4) == can_be_felt(exact, trial), trial
        felt += can_be_felt(exact, trial)
    assert felt > 15


def can_be_felt(on: Bench, trial: Trial) -> bool:
    """Tell whether something is added where a later block, or the read-out itself, can see it."""
    injection, encoded = trial.injection, on.prompts[prompt_key(trial)]
    weights = weights_of(encoded, injection.weights, len(encoded.token_ids))
    added = injection.strength != 0 and bool(weights.any())
    return added and (min(injection.sites) < Site(trial.n_loops - 1, 1) or bool(weights[-1]))


@pytest.mark.parametrize("weights", [(2.0, 1.0), (1.0, 2.0), (0.0, 1.0), (1.0, 0.0), ()])
@pytest.mark.parametrize("variables", [(), VARIED[1]])
def test_each_span_has_its_own_dose(exact: Bench, weights: tuple[float, ...], variables: tuple) -> None:
    sites = [((0, 0),), ((2, 1),), ((0, 1), (1, 0), (2, 0))]
    agree(exact, [exact.trial(*at, prompt="two", variables=variables, weights=weights) for at in sites])


def test_the_order_of_two_doses_can_be_told_and_that_of_equal_ones_cannot(exact: Bench) -> None:
    made = [exact.trial((0, 0), prompt="two", weights=weights) for weights in ((2.0, 1.0), (1.0, 2.0), (1.0, 1.0), ())]
    first, second, equal, none_given = (numbers(answer.readouts) for answer in responses(exact.engine.run(made)))
    assert not torch.allclose(first, second, atol=1e-3)
    assert torch.equal(equal, none_given)


def test_the_weight_of_a_last_span_that_goes_on_is_that_of_the_answer(exact: Bench) -> None:
    agree(exact, [exact.trial((1, 1), prompt="parted", weights=(0.0, 1.0, last)) for last in (0.0, 0.5, 3.0)])


@pytest.mark.parametrize("split", [1, 3])
@pytest.mark.parametrize("n_loops", [1, 2, 3, 4, 5])
def test_all_loops_together_also_with_a_split_dose_and_more_or_fewer_than_trained(
    exact: Bench, n_loops: int, split: int
) -> None:
    sites = [(loop, 1) for loop in range(n_loops)]
    common = {"n_loops": n_loops, "extract_loop": 1, "strength": 3.0 / split}
    agree(exact, [exact.trial(*sites, prompt=prompt, **common) for prompt in ("open", "closed", "two")])


@pytest.mark.parametrize("extract_loop", [None, 0, 2])
def test_every_arm_at_every_site_is_what_plain_hooks_make_of_it(exact: Bench, extract_loop: int | None) -> None:
    common = {"sampling": Sampling(max_new_tokens=2), "extract_loop": extract_loop, "prompt": "closed"}
    partners = {"wrong": "bread"}
    trials = [
        exact.trial((loop, layer), arm=arm, partner=partners.get(arm), seed=trial_seed(0, arm, loop), **common)
        for arm, loop, layer in product(ARMS, range(3), range(2))
    ]
    agree(exact, trials)


def test_clean_norms_are_those_of_a_plain_forward_over_the_spans() -> None:
    on = bench(torch.float64)
    for name, encoded in on.prompts.items():
        norms: dict[Site, float] = {}
        inside = [at for start, stop in encoded.spans for at in range(start, stop or len(encoded.token_ids))]

        def measure(site: Site, h: torch.Tensor, into: dict[Site, float], inside: list[int]) -> None:
            into[site] = h[0, inside].norm(dim=-1).mean().item()

        visits = {site: partial(measure, site, into=norms, inside=inside) for site in on.looped.sites(3)}
        with hooked(on.looped, visits), torch.no_grad():
            on.looped.model(input_ids=torch.tensor([encoded.token_ids]), use_cache=False)
        assert prefill(Tap(on.looped), encoded, 3).norms() == pytest.approx(norms, rel=1e-12), name
    assert len(on.prompts) == len(SPANS) + 1
