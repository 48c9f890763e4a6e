"""Looped nanochat against a plain reference on its weights, its windows, its weight names, and its refusals."""

from dataclasses import replace

import pytest
import torch
from oracle import hooked
from tiny_nanochat import tiny_nanochat, tiny_nanochat_config
from torch import Tensor

from introspect.errors import InputError
from introspect.families.nanochat.config import NanochatConfig
from introspect.families.nanochat.model import NanochatForCausalLM
from introspect.families.parts.layers import Shared
from introspect.records.trial import Site

IDS = torch.tensor([[5, 60, 70, 80, 90, 17, 33], [9, 8, 7, 6, 5, 4, 3]])
WHOLE = Shared(torch.arange(IDS.shape[1])[None], None, None, None, IDS.shape[1])
INJECTIONS = ("inject_init_prelude", "inject_init_random", "passthrough")
every_injection = pytest.mark.parametrize("injection", INJECTIONS)


def reference(
    weights: dict[str, Tensor], config: NanochatConfig, n_loops: int, noise: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return the logits and what the core's last block put out in each loop."""

    def times(h: Tensor, name: str) -> Tensor:
        return h @ weights[f"{name}.weight"].T

    def scaled(h: Tensor) -> Tensor:
        return h / (h.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()

    def normed(h: Tensor, name: str) -> Tensor:
        return scaled(h) * weights[f"{name}.weight"]

    def turned(h: Tensor) -> Tensor:
        half, places, out = h.shape[-1] // 2, torch.arange(h.shape[1], dtype=h.dtype), torch.empty_like(h)
        for pair in range(half):
            angle = (places * 10_000.0 ** (-pair / half))[:, None]
            cos, sin = angle.cos().bfloat16().double(), angle.sin().bfloat16().double()
            out[..., pair] = h[..., pair] * cos + h[..., pair + half] * sin
            out[..., pair + half] = h[..., pair + half] * cos - h[..., pair] * sin
        return scaled(out)

    def block(h: Tensor, name: str) -> Tensor:
        read = normed(h, f"{name}.n1")
        q, k, v = (times(read, f"{name}.attn.c_{part}").unflatten(-1, (-1, 8)) for part in "qkv")
        k, v = (torch.stack([each[:, :, head // 2] for head in range(4)], 2) for each in (k, v))
        scores = torch.einsum("bqhd,bkhd->bhqk", turned(q), turned(k)) / 8**0.5
        later = torch.ones(scores.shape[-2:]).triu(1).bool()
        mixed = torch.einsum("bhqk,bkhd->bqhd", scores.masked_fill(later, -torch.inf).softmax(-1), v).flatten(2)
        h = normed(h + times(mixed, f"{name}.attn.c_proj"), f"{name}.n2")
        wide = times(normed(h, f"{name}.n3"), f"{name}.mlp.c_fc")
        return normed(h + times((wide * (wide > 0)) ** 2, f"{name}.mlp.c_proj"), f"{name}.n4")

    e = normed(weights["transformer.wte.weight"][IDS], "norm_emb")
    for layer in range(config.n_prelude):
        e = block(e, f"transformer.prelude.{layer}")
    s, ends = noise if config.input_injection == "inject_init_random" else e, list[Tensor]()
    for _ in range(n_loops):
        u = s if config.input_injection == "passthrough" else times(torch.cat([e, s], -1), "inject")
        for layer in range(config.n_recur_block):
            u = block(u, f"transformer.recur.{layer}")
        ends.append(u)
        s = normed(u, "norm_recur")
    for layer in range(config.n_coda):
        s = block(s, f"transformer.coda.{layer}")
    logits = times(normed(s, "norm_final"), "lm_head")[..., : config.vocab_size]
    return 15 * (logits / 15).tanh(), ends


@every_injection
@pytest.mark.parametrize("n_loops", [1, 3, 5])
@torch.no_grad()
def test_states_and_logits_are_those_of_a_plain_reference(n_loops: int, injection: str) -> None:
    looped = tiny_nanochat(dtype=torch.float64, input_injection=injection)
    begin = looped.model.initial(torch.zeros(*IDS.shape, 32, dtype=torch.float64), WHOLE)
    expected, ends = reference(looped.model.state_dict(), looped.model.config, n_loops, begin)
    output = looped.model(IDS, n_loops=n_loops)
    torch.testing.assert_close(output.logits, expected, atol=1e-10, rtol=1e-10)
    for state, other in zip(output.loop_states, ends, strict=True):
        torch.testing.assert_close(state, other, atol=1e-10, rtol=1e-10)


@every_injection
@torch.no_grad()
def test_the_read_out_after_a_loop_is_what_a_model_of_so_many_loops_says(injection: str) -> None:
    looped = tiny_nanochat(dtype=torch.float64, input_injection=injection)
    for loop, state in enumerate(looped.model(IDS, n_loops=4).loop_states):
        torch.testing.assert_close(looped.readout(state), looped.model(IDS, n_loops=loop + 1).logits)


@every_injection
@torch.no_grad()
def test_a_forward_behind_any_site_goes_on_as_the_whole_one_did(injection: str) -> None:
    looped, states = tiny_nanochat(dtype=torch.float64, input_injection=injection), dict[Site, Tensor]()
    visits = {site: (lambda h, site=site: states.__setitem__(site, h.clone())) for site in looped.sites(3)}
    with hooked(looped, visits):
        whole = looped.model(IDS, n_loops=3).logits
    for site in looped.sites(3):
        behind = looped.resume_arguments(site, states)
        assert torch.equal(looped.model(**behind, n_loops=3, use_cache=False).logits, whole), site


def test_noise_belongs_to_a_seed_and_a_position() -> None:
    model = tiny_nanochat(input_injection="inject_init_random").model
    like, whole = torch.zeros(1, 600, 32), Shared(torch.arange(600)[None], None, None, None, 600)
    noise, part = model.initial(like, whole), replace(whole, positions=whole.positions[:, 500:502], columns=502)
    assert torch.equal(model.initial(like[:, :2], part), noise[:, 500:502])
    assert noise.std().item() == pytest.approx(1, rel=0.02)  # N(0, 1) as published, whatever the width
    assert noise.abs().max() > 3
    model.config.state_seed = 1
    assert not torch.equal(model.initial(like, whole), noise)


@pytest.mark.parametrize(
    ("pattern", "window"), [("L", 8), ("LLSL", 4), ("LLLLS", 8), ("S", 4), ("LLLLLS", 8), ("LLLS", 4)]
)
@torch.no_grad()
def test_texts_that_a_window_does_not_hold_are_refused(pattern: str, window: int) -> None:
    looped = tiny_nanochat(window_pattern=pattern, sequence_len=8)
    ids = torch.arange(3, 4 + window)[None]
    looped.model(ids)
    cache = looped.new_cache()
    looped.model(ids, past_key_values=cache, use_cache=True)
    with pytest.raises(InputError, match=f"position {window + 1}: window_pattern {pattern} sees {window} tokens back"):
        looped.model(ids[:, :1], past_key_values=cache, use_cache=True)


def test_a_model_that_begins_in_noise_is_not_taken_for_one_of_before_the_noise_had_its_size() -> None:
    """Its weights hash was another then, so that a run of that time is not continued with other states."""
    begun, plain = (tiny_nanochat(input_injection=kind) for kind in ("inject_init_random", "inject_init_prelude"))
    assert set(begun.described()) - set(plain.described()) == {"noise"}


def test_the_defaults_are_those_of_the_fork() -> None:
    config = NanochatConfig()
    assert (config.input_injection, config.window_pattern) == ("inject_init_random", "L")
    assert config.window == config.sequence_len


def test_the_rows_of_the_embedding_are_a_multiple_of_64_and_a_model_that_passes_through_mixes_nothing_in() -> None:
    names = NanochatForCausalLM(tiny_nanochat_config()).state_dict()
    assert len(names["lm_head.weight"]) == len(names["transformer.wte.weight"]) == 320  # 64 times 5 hold 317
    assert "inject.weight" not in NanochatForCausalLM(tiny_nanochat_config(input_injection="passthrough")).state_dict()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input_injection": "add"}, "input_injection 'add': known are inject_init_prelude, inject_init_random"),
        ({"window_pattern": "LX"}, "window_pattern 'LX': is made of L and S"),
        ({"train_recur_mean": 0.5}, "train_recur_mean 0.5: looped nanochat has at least one"),
        ({"n_coda": 0}, "n_coda 0: looped nanochat has at least one"),
        ({"n_head": 5}, "n_embd 32 does not give 5 n_head of an even size"),
        ({"n_kv_head": 3}, "n_head 4 is no multiple of n_kv_head 3"),
    ],
)
def test_configs_that_the_layout_cannot_compute_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_nanochat_config(**fields)
