"""The recorded residual stream: what it is before, at and outside of the injection."""

from dataclasses import replace

import torch

from introspect.injection.recording import record_residual
from introspect.records import Response
from tests.injected import SPANS, bench, responses

ON = bench()


def test_before_the_site_all_is_bit_equal_and_at_the_site_the_vector_is_added_exactly() -> None:
    for prompt, (start, stop) in SPANS.items():
        for site in ON.looped.sites():
            trial = ON.trial((site.loop, site.layer), prompt=prompt, strength=1.5, concept="bread")
            response = responses(ON.engine.run([trial]))[0]
            injected = record_residual(ON.engine, trial, response)
            clean = record_residual(ON.engine, replace(trial, arm="none", injection=None), response)
            assert injected.shape == (3, 2, 12 + len(response.token_ids) - 1, 32)
            earlier = [other for other in ON.looped.sites() if other < site]
            assert all(torch.equal(injected[s.loop, s.layer], clean[s.loop, s.layer]) for s in earlier)
            expected = clean[site.loop, site.layer].clone()
            expected[start:stop] += (1.5 * ON.vectors.at("bread", site).double()).float()
            assert torch.equal(injected[site.loop, site.layer], expected)
            assert torch.equal(injected[:, :, :start], clean[:, :, :start])


def test_the_recorded_states_are_those_from_which_the_readouts_were_read() -> None:
    trial = ON.trial((1, 0), strength=1.5)
    response: Response = responses(ON.engine.run([trial]))[0]
    states = record_residual(ON.engine, trial, response)[:, -1, 11]
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
