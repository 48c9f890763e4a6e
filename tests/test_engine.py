"""Theorems about the engine: rows are alone, zero is nothing, and what goes wrong in a row stays in it."""

from dataclasses import replace

import pytest
import torch

from introspect.errors import InputError
from introspect.injection.engine.engine import Engine
from introspect.injection.engine.failures import Failure
from introspect.injection.prefix.prefix import prefill
from introspect.models.looped_model import SiteError
from introspect.models.tap import Tap
from introspect.prompts import Encoded
from introspect.records.response import Response
from introspect.records.trial import Sampling
from tests.injected import SPANS, Bench, bench, responses


@pytest.fixture(scope="module")
def on() -> Bench:
    return bench()


@pytest.fixture(scope="module")
def exact() -> Bench:
    return bench(torch.float64)


def numbers(response: Response) -> torch.Tensor:
    rows = [(r.loop, r.logit_yes, r.logit_no, r.mass, r.entropy, *r.options) for r in response.readouts]
    return torch.tensor(rows, dtype=torch.float64)


def close(one: Response, other: Response) -> bool:
    """Tell whether two responses are one up to the rounding of float64 over a forward pass."""
    same = (one.trial_id, one.token_ids, one.text) == (other.trial_id, other.token_ids, other.text)
    return same and torch.allclose(numbers(one), numbers(other), atol=1e-12, rtol=1e-12)


def test_a_batch_equals_its_single_trials(exact: Bench) -> None:
    trials = exact.mixed(seed=2, n=20)
    together = responses(exact.engine.run(trials))
    alone = [responses(exact.engine.run([trial]))[0] for trial in trials]
    assert all(close(one, other) for one, other in zip(together, alone, strict=True))


def test_the_order_in_the_batch_does_not_matter(exact: Bench) -> None:
    trials = exact.mixed(seed=3, n=20)
    forward, backward = exact.engine.run(trials), exact.engine.run(trials[::-1])
    assert all(close(one, other) for one, other in zip(responses(forward), responses(backward[::-1]), strict=True))


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("rows", [1, 2, 5, 19])
def test_waiting_for_a_row_changes_nothing(exact: Bench, rows: int) -> None:
    trials = exact.mixed(seed=6, n=40)
    waited, at_once = exact.engine.run(trials, rows), exact.engine.run(trials)
    assert all(close(one, other) for one, other in zip(responses(waited), responses(at_once), strict=True))


def test_a_waiting_trial_takes_the_row_of_one_that_is_finished() -> None:
    on = bench()
    trials = [
        on.trial((1, 0), seed=seed, sampling=Sampling(max_new_tokens=12 if seed < 3 else 2)) for seed in range(15)
    ]
    on.looped.end_of_turn = ()
    rows: list[int] = []
    on.looped.model.register_forward_pre_hook(lambda _, __, given: rows.append(_rows(given)), with_kwargs=True)
    Engine(on.engine.tap, on.prompts, on.vectors, steps="nnsight").run(trials, 4)
    decoded = [n for n in rows if n < 0]
    once_more_without_injection = 12  # the short answers: one token of each, four side by side
    assert sum(decoded) == -(3 * 11 + 12 + once_more_without_injection)
    assert len(decoded) == 12 + 3


def _rows(given: dict[str, torch.Tensor]) -> int:
    """Return the rows of a forward, negative when it runs one new token of each."""
    ids = given.get("input_ids")
    return 1 if ids is None or ids.shape[1] > 1 else -len(ids)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_rows_are_bit_equal_when_one_rows_injection_changes(dtype: torch.dtype) -> None:
    on = bench(dtype)
    trials = [on.trial((loop, 1), concept=word, seed=loop) for loop in range(3) for word in ("dust", "salt")]
    changed = [on.trial((0, 1), (2, 1), strength=-30.0, seed=99), *trials[1:]]
    before, after = responses(on.engine.run(trials)), responses(on.engine.run(changed))
    assert before[1:] == after[1:]
    assert before[0].readouts != after[0].readouts


def test_strength_zero_equals_no_injection_exactly(on: Bench) -> None:
    for prompt in SPANS:
        none = responses(on.engine.run([on.trial(prompt=prompt)]))[0]
        for sites in [((0, 0),), ((2, 1),), tuple((site.loop, site.layer) for site in on.looped.sites())]:
            zero = responses(on.engine.run([on.trial(*sites, prompt=prompt, strength=0.0)]))[0]
            assert (zero.text, zero.token_ids, zero.readouts) == (none.text, none.token_ids, none.readouts)
            assert zero.vector_norm == zero.relative_norm == 0.0
        assert none.vector_norm is none.residual_norm is none.relative_norm is None


def test_an_injection_changes_the_readouts_from_its_loop_on_and_none_before(on: Bench) -> None:
    none = numbers(responses(on.engine.run([on.trial()]))[0])
    for loop in range(3):
        changed = numbers(responses(on.engine.run([on.trial((loop, 0))]))[0]) != none
        assert changed.any(-1).tolist() == [r >= loop for r in range(3)]


@pytest.mark.parametrize("arm", ["injected", "random"])
@pytest.mark.parametrize("strength", [0.25, -2.0])
def test_in_residual_units_the_relative_norm_is_the_strength(on: Bench, arm: str, strength: float) -> None:
    trials = [
        on.trial((site.loop, site.layer), prompt=prompt, strength=strength, unit="residual", arm=arm)
        for site in on.looped.sites()
        for prompt in SPANS
    ]
    for response in responses(on.engine.run(trials)):
        assert response.relative_norm == pytest.approx(abs(strength), rel=1e-5)


def test_the_vector_norm_is_strength_times_norm_averaged_over_the_sites(on: Bench) -> None:
    response = responses(on.engine.run([on.trial((0, 1), (2, 0), concept="salt", strength=-3.0)]))[0]
    norms = on.vectors.norms()[1]
    assert response.vector_norm == pytest.approx(1.5 * (norms[0, 1] + norms[2, 0]).item(), rel=1e-5)
    assert response.residual_norm is not None
    assert response.residual_norm > 0


def test_the_shared_beginning_is_run_once_and_never_changed() -> None:
    on = bench()
    first = on.engine.run(on.mixed(seed=4, n=8))
    key = (("open", ()), 3, "last")
    prefix = on.engine.prefix(key)
    assert on.engine.run(on.mixed(seed=4, n=8)) == first
    assert on.engine.prefix(key) is prefix
    fresh = prefill(Tap(on.looped), on.prompts["open", ()], 3)
    for used, new in [(prefix.clean.shared, fresh.clean.shared), (prefix.clean.own, fresh.clean.own)]:
        assert all(torch.equal(one, other) for one, other in zip(used, new, strict=True))
        assert len(used[0]) == on.looped.n_layers * 3
    assert all(torch.equal(h, fresh.states[site]) for site, h in prefix.states.items())


def test_an_answer_stops_at_the_end_of_turn_or_at_its_length() -> None:
    on = bench()
    on.looped.end_of_turn = tuple(range(0, len(on.looped.tokenizer), 3))
    trials = [on.trial(seed=seed, sampling=Sampling(max_new_tokens=1 + seed % 5)) for seed in range(40)]
    for trial, response in zip(trials, responses(on.engine.run(trials)), strict=True):
        *before, last = response.token_ids
        assert not any(token in on.looped.end_of_turn for token in before)
        ended = last in on.looped.end_of_turn
        assert response.finish_reason == ("stop" if ended else "length")
        assert ended or len(response.token_ids) == trial.sampling.max_new_tokens
        written = before if ended else response.token_ids
        assert response.text == on.looped.tokenizer.decode(list(written), skip_special_tokens=True)
        assert len(response.token_ids) <= trial.sampling.max_new_tokens


def test_paired_trials_share_their_noise(on: Bench) -> None:
    pairs = [(on.trial(seed=seed), on.trial((2, 1), strength=1e-4, seed=seed)) for seed in range(20)]
    results = responses(on.engine.run([trial for pair in pairs for trial in pair]))
    assert all(one.token_ids == other.token_ids for one, other in zip(results[::2], results[1::2], strict=True))
    assert len({response.token_ids for response in results}) == 20


def test_a_strength_too_faint_for_the_number_format_fails_its_own_trial_only() -> None:
    on = bench(torch.bfloat16)
    trials = [on.trial((0, 0)), on.trial((1, 1), strength=1e-5), on.trial((2, 0), strength=1e-60), on.trial()]
    good, faint, vanished, none = on.engine.run(trials)
    assert isinstance(good, Response)
    assert isinstance(none, Response)
    for failure, trial in [(faint, trials[1]), (vanished, trials[2])]:
        assert isinstance(failure, Failure)
        assert failure.trial == trial
        assert trial.injection is not None
        for part in (trial.id, f"strength {trial.injection.strength}", "too faint", "bfloat16"):
            assert part in failure.message


def test_logits_that_are_not_finite_fail_their_own_trial_only(on: Bench) -> None:
    trials = [on.trial(), on.trial((0, 1), strength=1e39), on.trial((1, 0), seed=8)]
    first, failure, last = on.engine.run(trials)
    assert isinstance(failure, Failure)
    assert "not finite in float32 at strength 1e+39" in failure.message
    harmless = responses(on.engine.run([trials[0], on.trial((0, 1), strength=1.0), trials[2]]))
    for answer, same in zip(responses([first, last]), (harmless[0], harmless[2]), strict=True):
        assert answer.clean_logprob == pytest.approx(same.clean_logprob, abs=1e-5)  # run in another batch
        assert replace(answer, clean_logprob=same.clean_logprob) == same


def test_a_row_in_which_something_was_not_finite_is_as_good_as_new() -> None:
    on = bench()
    on.looped.end_of_turn = ()
    long, short = Sampling(max_new_tokens=9), Sampling(max_new_tokens=3)
    broken = [on.trial((0, 0), strength=1e39, repeat=i) for i in range(3)]
    good = [on.trial((0, 1), seed=seed, sampling=short if seed % 2 else long) for seed in range(6)]
    order = [good[0], broken[0], good[1], broken[1], *good[2:], broken[2]]
    results = dict(zip(order, on.engine.run(order, 2), strict=True))
    assert all(isinstance(results[trial], Failure) for trial in broken)
    alone = [responses(on.engine.run([trial]))[0].token_ids for trial in good]
    assert [response.token_ids for response in responses([results[trial] for trial in good])] == alone


@pytest.mark.parametrize("site", [(3, 0), (0, 2), (-1, 0)])
def test_a_site_that_does_not_exist_raises(on: Bench, site: tuple[int, int]) -> None:
    with pytest.raises(SiteError, match="site"):
        on.engine.run([on.trial(), on.trial(site, extract_loop=0)])


def test_a_trial_made_for_something_else_is_refused(on: Bench) -> None:
    trial = on.trial((0, 0))
    assert trial.injection is not None
    wrong = {
        "unknown template hash 'x'": replace(trial, template_hash="x"),
        "weights hash 'x'": replace(trial, weights_hash="x"),
        "dtype 'float16'; here it is 'float32'": replace(trial, dtype="float16"),
        "vectors hash 'x'": replace(trial, injection=replace(trial.injection, vectors_hash="x")),
        "arm 'none' with": replace(trial, arm="none"),
        "arm 'text' with": replace(trial, arm="text"),
        "2 weights for 1 injection spans": on.trial((0, 0), weights=(1.0, 2.0)),
        "1 weights for 3 injection spans": on.trial((0, 0), prompt="parted", weights=(1.0,)),
        "arm 'injected' with injection None": replace(trial, injection=None),
        "sites, each once": on.trial((0, 0), (0, 0)),
    }
    for said, bad in wrong.items():
        with pytest.raises(InputError, match=said):
            on.engine.run([trial, bad])
    with pytest.raises(InputError, match="here it is None"):
        Engine(on.engine.tap, on.prompts).run([trial])


def test_a_prompt_without_a_span_can_be_asked_but_not_injected_into(on: Bench) -> None:
    ids = on.prompts["open", ()].token_ids
    engine = Engine(on.engine.tap, {("open", ()): Encoded("", ids, len(ids), len(ids), "")}, on.vectors)
    asked, usual = responses([*engine.run([on.trial()]), *on.engine.run([on.trial()])])
    assert asked.token_ids == usual.token_ids
    with pytest.raises(InputError, match="injection span"):
        engine.run([on.trial((0, 0))])


def test_no_trials_give_no_responses(on: Bench) -> None:
    assert on.engine.run([]) == []
