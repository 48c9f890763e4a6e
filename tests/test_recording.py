"""The recorded residual stream: what it is before, at and outside of the injection."""

from dataclasses import replace

import pytest
import torch

from introspect.injection.engine.recording import record_residual
from introspect.records.response import Response
from introspect.records.trial import Site, Trial
from tests.injected import LENGTH, SPANS, bench, responses

ON = bench()


@pytest.mark.slow_after(5)
@pytest.mark.parametrize("prompt", SPANS)
@pytest.mark.parametrize("weighed", [False, True])
def test_before_the_site_all_is_bit_equal_and_at_the_site_the_vector_is_added_exactly(
    prompt: str, weighed: bool
) -> None:
    weights = tuple(0.5 * number for number, _ in enumerate(SPANS[prompt], start=1)) if weighed else ()
    for site in ON.looped.sites():
        trial = ON.trial((site.loop, site.layer), prompt=prompt, strength=1.5, concept="bread", weights=weights)
        response = responses(ON.engine.run([trial]))[0]
        injected, clean = record_residual(ON.engine, trial, response), without(trial, response)
        assert injected.shape == (3, 2, LENGTH + len(response.token_ids) - 1, 32)
        earlier = [other for other in ON.looped.sites() if other < site]
        assert all(torch.equal(injected[s.loop, s.layer], clean[s.loop, s.layer]) for s in earlier)
        expected = clean[site.loop, site.layer].clone()
        for number, (start, stop) in enumerate(SPANS[prompt]):
            added = (1.5 * ON.vectors.at("bread", site).double()).float()
            expected[start:stop] += added * (weights[number] if weighed else 1.0)
        assert torch.equal(injected[site.loop, site.layer], expected)
        begin = SPANS[prompt][0][0]
        assert torch.equal(injected[:, :, :begin], clean[:, :, :begin])


@pytest.mark.parametrize("prompt", ["closed", "two"])
def test_behind_a_span_that_ends_no_token_is_touched_and_what_changes_came_through_the_cache(prompt: str) -> None:
    stop = SPANS[prompt][-1][1]
    trial = ON.trial((0, 0), prompt=prompt)
    response = responses(ON.engine.run([trial]))[0]
    injected, clean = record_residual(ON.engine, trial, response), without(trial, response)
    assert torch.equal(injected[0, 0, stop:], clean[0, 0, stop:])
    later = [(site.loop, site.layer) for site in ON.looped.sites() if site > Site(0, 0)]
    assert all(not torch.equal(injected[at][stop:], clean[at][stop:]) for at in later)


@pytest.mark.parametrize("prompt", ["closed", "two"])
def test_where_no_cache_can_carry_it_an_injection_behind_which_tokens_follow_changes_no_answer(prompt: str) -> None:
    last = ON.trial((2, 1), prompt=prompt, strength=30.0)
    injected, none = responses(ON.engine.run([last, ON.trial(prompt=prompt)]))
    assert (injected.token_ids, injected.readouts) == (none.token_ids, none.readouts)
    assert injected.vector_norm > 1.0
    (carried,) = responses(ON.engine.run([ON.trial((2, 0), prompt=prompt, strength=30.0)]))
    assert carried.readouts != none.readouts


def without(trial: Trial, response: Response) -> torch.Tensor:
    """Record the same tokens with nothing injected."""
    return record_residual(ON.engine, replace(trial, arm="none", injection=None), response)


def test_the_recorded_states_are_those_from_which_the_readouts_were_read() -> None:
    trial = ON.trial((1, 0), strength=1.5)
    response = responses(ON.engine.run([trial]))[0]
    states = record_residual(ON.engine, trial, response)[:, -1, LENGTH - 1]
    with torch.no_grad():
        logits = ON.looped.readout(states).double()
    read = torch.tensor([readout.logit_yes for readout in response.readouts], dtype=torch.float64)
    assert torch.allclose(logits[:, list(ON.engine.answers.yes)].logsumexp(-1), read, atol=1e-4)


def test_replaying_an_answer_ends_where_the_model_stopped_reading() -> None:
    trial = ON.trial((2, 1))
    response = responses(ON.engine.run([trial]))[0]
    short = replace(response, token_ids=response.token_ids[:3])
    whole, part = record_residual(ON.engine, trial, response), record_residual(ON.engine, trial, short)
    assert part.shape[2] == 14
    assert torch.allclose(part, whole[:, :, :14], atol=1e-4)
