"""The engine against an oracle: plain forward hooks, one trial at a time, the whole prompt anew for every token."""

from functools import partial

import numpy as np
import pytest
import torch

from introspect.injection.answers import AnswerTokens
from introspect.injection.directions import added_vector
from introspect.injection.prefix import prefill
from introspect.injection.sampling import uniforms
from introspect.models.tap import Tap
from introspect.records import Readout, Sampling, Site, Trial
from tests.injected import Bench, bench, responses
from tests.oracle import hooked


def oracle(on: Bench, trial: Trial) -> tuple[tuple[int, ...], list[Readout]]:
    """Give the tokens of a trial and its read-outs."""
    looped, encoded = on.looped, on.prompts[trial.template_hash]
    ids, readouts = list(encoded.token_ids), []
    while len(ids) == len(encoded.token_ids) or not _finished(on, trial, ids[len(encoded.token_ids) :]):
        states: dict[int, torch.Tensor] = {}
        with hooked(looped, _visits(on, trial, states)), torch.no_grad():
            arguments = looped.forward_arguments(trial.n_loops)
            logits = looped.model(input_ids=torch.tensor([ids]), use_cache=False, **arguments).logits[0, -1]
        if not readouts:
            readouts = [
                _readout(looped.readout(states[loop]), on.engine.answers, loop) for loop in range(trial.n_loops)
            ]
        ids.append(_draw(logits.double().numpy(), trial, len(ids) - len(encoded.token_ids)))
    return tuple(ids[len(encoded.token_ids) :]), readouts


def _finished(on: Bench, trial: Trial, answer: list[int]) -> bool:
    return len(answer) == trial.sampling.max_new_tokens or answer[-1] in on.looped.end_of_turn


def _visits(on: Bench, trial: Trial, states: dict[int, torch.Tensor]) -> dict[Site, partial[None]]:
    encoded = on.prompts[trial.template_hash]
    vectors = {} if trial.injection is None else {
        site: added_vector(trial, site, on.vectors) for site in trial.injection.sites
    }  # fmt: skip

    def visit(site: Site, h: torch.Tensor) -> None:
        if site in vectors:
            h[0, encoded.span_start : encoded.span_stop] += vectors[site].to(h.dtype)
        if site.layer == on.looped.n_layers - 1:
            states[site.loop] = h[0, -1].clone()

    return {site: partial(visit, site) for site in on.looped.sites(trial.n_loops)}


def _draw(logits: np.ndarray, trial: Trial, step: int) -> int:
    if trial.sampling.temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / trial.sampling.temperature)
    weights /= weights.sum()
    left = 0.0
    for token in np.argsort(-weights, kind="stable"):
        if left >= trial.sampling.top_p and trial.sampling.top_p < 1:
            weights[token], weight = 0.0, weights[token]
        else:
            weight = weights[token]
        left += weight
    reached = weights.cumsum()
    return int((reached > uniforms([trial.seed], step + 1)[0, step].item() * reached[-1]).argmax())


def _readout(logits: torch.Tensor, answers: AnswerTokens, loop: int) -> Readout:
    p = logits.double().softmax(-1)
    yes, no = (logits.double()[list(tokens)].exp().sum().log().item() for tokens in (answers.yes, answers.no))
    return Readout(loop, yes, no, p[[*answers.yes, *answers.no]].sum().item(), -(p * p.log()).sum().item())


def numbers(readouts: list[Readout] | tuple[Readout, ...]) -> torch.Tensor:
    rows = [(r.loop, r.logit_yes, r.logit_no, r.mass, r.entropy) for r in readouts]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("dtype", "rounding"),
    [(torch.float32, 2e-4), (torch.float64, 1e-11)],  # logits of size 10 after some 20 products of float32 rounding
)
def test_mixed_batches_equal_plain_hooks_one_trial_at_a_time_without_a_cache(
    dtype: torch.dtype, rounding: float
) -> None:
    on = bench(dtype)
    on.looped.end_of_turn = tuple(range(0, len(on.looped.tokenizer), 4))  # so that rows leave at different steps
    trials = on.mixed(seed=1, n=24)
    for trial, response in zip(trials, responses(on.engine.run(trials)), strict=True):
        tokens, readouts = oracle(on, trial)
        assert response.token_ids == tokens, trial
        assert torch.allclose(numbers(response.readouts), numbers(readouts), atol=rounding, rtol=0), trial
    assert len({len(response.token_ids) for response in responses(on.engine.run(trials))}) > 3


def test_the_oracle_does_feel_injections() -> None:
    on = bench(torch.float64)
    trials = [trial for trial in on.mixed(seed=1, n=24) if trial.injection and trial.injection.strength]
    for trial in trials:
        last = numbers(oracle(on, trial)[1])[-1]
        controls = [on.trial(prompt=trial.template_hash, n_loops=trial.n_loops, sampling=Sampling(max_new_tokens=1))]
        assert (last - numbers(oracle(on, controls[0])[1])[-1]).abs().max() > 1e-3


def test_clean_norms_are_those_of_a_plain_forward_over_the_span() -> None:
    on = bench(torch.float64)
    for name, encoded in on.prompts.items():
        norms: dict[Site, float] = {}

        def measure(site: Site, h: torch.Tensor, into: dict[Site, float], span: slice) -> None:
            into[site] = h[0, span].norm(dim=-1).mean().item()

        span = slice(encoded.span_start, encoded.span_stop)
        visits = {site: partial(measure, site, into=norms, span=span) for site in on.looped.sites(3)}
        with hooked(on.looped, visits), torch.no_grad():
            on.looped.model(input_ids=torch.tensor([encoded.token_ids]), use_cache=False)
        tap = Tap(on.looped)
        assert prefill(tap, encoded, 3).norms() == pytest.approx(norms, rel=1e-12), name
