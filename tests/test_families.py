"""What every family must do, on a small model of each with random weights."""

from pathlib import Path

import pytest
import torch
from families import FAMILIES
from injected import ARMS, Bench, bench_on, responses, varied
from oracle import clean_logprob, hooked, numbers, oracle
from torch import Tensor

from introspect.errors import InputError
from introspect.families.loading import load_model, peek
from introspect.families.registry import family_of
from introspect.models.looped_model import LoopedModel, SiteError
from introspect.models.tap import Tap
from introspect.records.trial import CODA, LAST, Site

IDS = torch.tensor([[5, 60, 70, 80, 90], [9, 8, 7, 6, 5]])
ROUNDING = 1e-8
"""Of float64."""

every_family = pytest.mark.parametrize("name", FAMILIES)


def made(name: str, dtype: torch.dtype = torch.float64) -> LoopedModel:
    return FAMILIES[name].make(dtype=dtype)


def recorded(
    looped: LoopedModel, n_loops: int, ids: Tensor = IDS, **inputs: Tensor
) -> tuple[dict[Site, Tensor], Tensor]:
    """Record every site by plain hooks; give the states and the logits."""
    states: dict[Site, Tensor] = {}
    visits = {site: lambda h, site=site: states.__setitem__(site, h.clone()) for site in looped.sites(n_loops)}
    with hooked(looped, visits), torch.no_grad():
        logits = looped.model(ids, use_cache=False, **looped.forward_arguments(n_loops), **inputs).logits
    return states, logits


@every_family
def test_sites_run_in_the_order_in_which_they_are_listed_and_sort(name: str) -> None:
    looped = made(name)
    for n_loops in sorted(set(FAMILIES[name].loops)):
        states, _ = recorded(looped, n_loops)
        assert list(states) == looped.sites(n_loops) == sorted(looped.sites(n_loops))
        assert all(h.shape == (*IDS.shape, looped.d_model) for h in states.values())


@every_family
def test_a_tap_records_what_plain_hooks_do_and_changes_nothing(name: str) -> None:
    looped, n_loops = made(name), max(FAMILIES[name].loops)
    expected, logits = recorded(looped, n_loops)
    seen: dict[Site, Tensor] = {}
    visits = {site: lambda h, site=site: seen.__setitem__(site, h.clone()) for site in looped.sites(n_loops)}
    assert torch.equal(Tap(looped).run(visits, n_loops=n_loops, input_ids=IDS).logits, logits)
    assert list(seen) == list(expected)
    assert all(torch.equal(seen[site], expected[site]) for site in seen)


@every_family
def test_sites_that_do_not_exist_are_refused(name: str) -> None:
    looped = made(name)
    for site in (Site(max(FAMILIES[name].loops) + 1, 0), Site(0, looped.n_layers), Site(CODA, 7), Site(-2, 0)):
        with pytest.raises(SiteError, match=f"site {site}"):
            looped.locate(site, max(FAMILIES[name].loops))


@every_family
@torch.no_grad()
def test_the_last_read_out_is_the_models_own(name: str) -> None:
    looped = made(name)
    if looped.summed:
        return  # a loop's end is the last part of a sum; tests of the family say what the read-outs are
    for n_loops in sorted(set(FAMILIES[name].loops)):
        states, logits = recorded(looped, n_loops)
        last = states[Site(n_loops - 1, looped.n_layers - 1)]
        torch.testing.assert_close(looped.readout(last), logits, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(looped.lens(states[looped.sites(n_loops)[-1]]), logits, atol=1e-12, rtol=1e-12)


@every_family
def test_an_addition_anywhere_changes_all_that_follows_at_its_position_and_nothing_before(name: str) -> None:
    looped, n_loops = made(name), FAMILIES[name].loops[-1]
    clean, logits = recorded(looped, n_loops)
    for site in looped.sites(n_loops):
        seen: dict[Site, Tensor] = {}

        def record(h: Tensor, at: Site, seen: dict[Site, Tensor] = seen, site: Site = site) -> None:
            seen[at] = h.clone()
            if at == site:
                h[1, 2] += torch.linspace(0, 1, h.shape[-1], dtype=h.dtype)  # a constant is lost in a LayerNorm

        visits = {at: lambda h, at=at: record(h, at) for at in looped.sites(n_loops)}
        output = Tap(looped).run(visits, n_loops=n_loops, input_ids=IDS)
        for at, h in seen.items():
            assert torch.equal(h[0], clean[at][0])
            assert torch.equal(h[1, :2], clean[at][1, :2])
            if at <= site or not FAMILIES[name].routed:
                own = slice(2, 3 if looped.by_token else None)  # it reaches every loop of the tokens behind it
                assert torch.equal(h[1, own], clean[at][1, own]) == (at <= site), (site, at)
        changed = not torch.equal(output.logits[1, 2:], logits[1, 2:])
        assert changed or FAMILIES[name].routed
        assert torch.equal(output.logits[0], logits[0])


@every_family
def test_trials_in_mixed_batches_equal_plain_hooks_one_at_a_time_without_a_cache(name: str) -> None:
    on = bench_on(made(name), loops=FAMILIES[name].loops)
    trials = varied(on.mixed(seed=9, n=24))
    assert len({trial.arm for trial in trials}) == len(ARMS) + 1
    assert {site.stage for trial in trials if trial.injection for site in trial.injection.sites} == {
        stage for stage, n in on.looped.layers.items() if n
    }
    for trial, answer in zip(trials, responses(on.engine.run(trials)), strict=True):
        tokens, readouts = oracle(on, trial, answer.token_ids)
        assert answer.token_ids == tokens, trial
        torch.testing.assert_close(numbers(answer.readouts), numbers(readouts), atol=ROUNDING, rtol=0)
        assert answer.clean_logprob == pytest.approx(clean_logprob(on, trial, tokens), abs=ROUNDING), trial


@pytest.mark.slow_after(4)
@every_family
def test_a_trial_is_the_same_alone_also_in_half_precision(name: str) -> None:
    on: Bench = bench_on(made(name, torch.bfloat16), loops=FAMILIES[name].loops)
    trials = on.mixed(seed=3, n=5)
    together = responses(on.engine.run(trials))
    for trial, answer in zip(trials, together, strict=True):
        alone = responses(on.engine.run([trial]))[0]
        assert (alone.token_ids, alone.text) == (answer.token_ids, answer.text)


@every_family
@torch.no_grad()
def test_rows_padded_on_the_left_equal_the_rows_alone(name: str) -> None:
    looped = made(name)
    arguments = looped.forward_arguments(looped.n_loops)
    padded = torch.nn.functional.pad(IDS[:1, :3], (2, 0))
    mask = torch.tensor([[0, 0, 1, 1, 1], [1] * 5])
    together = looped.model(torch.cat([padded, IDS[1:]]), attention_mask=mask, use_cache=False, **arguments).logits
    alone = [looped.model(ids, use_cache=False, **arguments).logits[0] for ids in (IDS[:1, :3], IDS[1:])]
    torch.testing.assert_close(together[0, 2:], alone[0], atol=ROUNDING, rtol=0)
    torch.testing.assert_close(together[1], alone[1], atol=ROUNDING, rtol=0)


@every_family
@torch.no_grad()
def test_cached_pieces_equal_the_whole(name: str) -> None:
    looped = made(name)
    for n_loops in sorted(set(FAMILIES[name].loops)):
        arguments, cache = looped.forward_arguments(n_loops), looped.new_cache()
        whole = looped.model(IDS, use_cache=False, **arguments).logits
        parts = [
            looped.model(part, past_key_values=cache, use_cache=True, **arguments).logits for part in IDS.split(2, 1)
        ]
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=ROUNDING, rtol=0)


@every_family
def test_the_bytes_of_a_token_are_those_that_the_engine_holds(name: str) -> None:
    on = bench_on(made(name, torch.float32), loops=FAMILIES[name].loops)
    trial = on.trial()
    prefix = on.engine.prefix(((trial.template_hash, trial.variables), trial.n_loops, LAST))
    held = sum(part.nbytes for part in (*prefix.clean.own, *prefix.clean.shared))
    assert held == on.looped.bytes_per_token(trial.n_loops) * len(prefix.encoded.token_ids)


@every_family
def test_a_saved_model_is_loaded_as_it_was(name: str, tmp_path: Path) -> None:
    looped = made(name, torch.float32)
    looped.model.save_pretrained(tmp_path)
    looped.tokenizer.save_pretrained(tmp_path)
    how = FAMILIES[name].looped
    outline, again = peek(str(tmp_path), **how), load_model(str(tmp_path), device="cpu", dtype="float32", **how)
    assert (outline.n_loops, outline.layers) == (again.n_loops, again.layers) == (looped.n_loops, looped.layers)
    family = family_of(looped.model.config.to_dict(), name=name)
    assert issubclass(type(looped), family) if how else type(looped) is family
    assert again.weights_hash == looped.weights_hash
    ids = again.tokenizer(again.chat([{"role": "user", "content": "Do you notice?"}]), add_special_tokens=False)
    text = torch.tensor([ids["input_ids"]])
    with torch.no_grad():
        arguments = looped.forward_arguments(looped.n_loops)
        one, other = (each.model(text, use_cache=False, **arguments).logits for each in (looped, again))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if len(set(family.loops)) > 1])
@torch.no_grad()
def test_a_cache_that_another_number_of_loops_filled_is_refused(name: str) -> None:
    looped, loops = made(name), sorted(set(FAMILIES[name].loops))
    cache, filled = looped.new_cache(), loops[1]
    how = looped.forward_arguments(filled)
    looped.model(IDS[:, :3], past_key_values=cache, use_cache=True, **how)
    for other in {*loops} - {filled}:
        given, said = looped.forward_arguments(other), f"n_loops {other}: the cache was filled by a forward of {filled}"
        with pytest.raises(InputError, match=said):
            looped.model(IDS[:, 3:], past_key_values=cache, use_cache=True, **given)
    on = looped.model(IDS[:, 3:], past_key_values=cache, use_cache=True, **how).logits
    whole = looped.model(IDS, use_cache=False, **how).logits
    torch.testing.assert_close(on, whole[:, 3:], atol=ROUNDING, rtol=ROUNDING)
