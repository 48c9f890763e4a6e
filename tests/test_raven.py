"""The Huginn layout against a plain reference on its weights, its noise, its stages, and its refusals."""

from dataclasses import replace

import pytest
import torch
from tiny_raven import tiny_raven, tiny_raven_config
from torch import Tensor

from introspect.errors import InputError
from introspect.families.config_fields import check_fields
from introspect.families.huginn.adapter import RavenLooped
from introspect.families.huginn.config import RavenConfig
from introspect.families.parts.layers import Shared
from introspect.records.trial import CODA, PRELUDE, Site

IDS = torch.tensor([[5, 60, 70, 80, 90, 17], [9, 8, 7, 6, 5, 4]])
WHOLE = Shared(torch.arange(IDS.shape[1])[None], None, None, None, IDS.shape[1])


def reference(weights: dict[str, Tensor], config: RavenConfig, ids: Tensor, n_loops: int, x: Tensor) -> Tensor:
    """Return the logits, one row and one position at a time where that is plainest."""

    def normed(h: Tensor, name: str) -> Tensor:
        return h / (h.pow(2).mean(-1, keepdim=True) + config.norm_eps).sqrt() * weights[f"transformer.{name}.weight"]

    def turned(h: Tensor) -> Tensor:
        size, places = h.shape[-1], torch.arange(h.shape[-2], dtype=h.dtype)
        out = torch.empty_like(h)
        for pair in range(size // 2):
            angle = places * config.rope_base ** (-2 * pair / size)
            even, odd = h[..., 2 * pair], h[..., 2 * pair + 1]
            out[..., 2 * pair] = even * angle.cos() - odd * angle.sin()
            out[..., 2 * pair + 1] = odd * angle.cos() + even * angle.sin()
        return out

    def block(h: Tensor, name: str) -> Tensor:
        read = normed(h, f"{name}.norm_1") @ weights[f"transformer.{name}.attn.Wqkv.weight"].T
        q, k, v = (part.unflatten(-1, (config.n_heads, -1)).transpose(1, 2) for part in read.chunk(3, -1))
        bias = weights[f"transformer.{name}.attn.qk_bias"][:, 0, :, None]
        scores = turned(q + bias[0]) @ turned(k + bias[1]).transpose(-1, -2) / q.shape[-1] ** 0.5
        later = torch.ones(scores.shape[-2:]).triu(1).bool()
        mixed = (scores.masked_fill(later, -torch.inf).softmax(-1) @ v).transpose(1, 2).flatten(2)
        h = normed(h + mixed @ weights[f"transformer.{name}.attn.proj.weight"].T, f"{name}.norm_2")
        gate, value = (normed(h, f"{name}.norm_3") @ weights[f"transformer.{name}.mlp.fc.weight"].T).chunk(2, -1)
        wide = gate * torch.sigmoid(gate) * value
        return normed(h + wide @ weights[f"transformer.{name}.mlp.proj.weight"].T, f"{name}.norm_4")

    e = weights["transformer.wte.weight"][ids] * config.embed_scale
    for layer in range(config.n_layers_in_prelude):
        e = block(e, f"prelude.{layer}")
    for _ in range(n_loops):
        x = torch.cat([x, e], -1) @ weights["transformer.adapter.weight"].T
        for layer in range(config.n_layers_in_recurrent_block):
            x = block(x, f"core_block.{layer}")
    x = normed(x, "ln_f")
    for layer in range(config.n_layers_in_coda):
        x = block(x, f"coda.{layer}")
    return normed(x, "ln_f") @ weights["lm_head.weight"].T


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("n_loops", [1, 3, 5])
@torch.no_grad()
def test_the_logits_are_those_of_a_plain_reference(n_loops: int, tied: bool) -> None:
    looped = tiny_raven(dtype=torch.float64, tie_word_embeddings=tied)
    begin = looped.model.initial(torch.zeros(*IDS.shape, 32, dtype=torch.float64), WHOLE)
    expected = reference(looped.model.state_dict(), looped.model.config, IDS, n_loops, begin)
    torch.testing.assert_close(looped.model(IDS, n_loops=n_loops).logits, expected, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_the_read_out_after_a_loop_is_what_a_model_of_so_many_loops_says() -> None:
    looped = tiny_raven(dtype=torch.float64)
    states = looped.model(IDS, n_loops=4).loop_states
    for loop, state in enumerate(states):
        torch.testing.assert_close(looped.readout(state), looped.model(IDS, n_loops=loop + 1).logits)


def test_noise_belongs_to_a_seed_and_a_position_and_is_cut_off_at_three_deviations() -> None:
    model = tiny_raven().model
    like, whole = torch.zeros(1, 600, 32), Shared(torch.arange(600)[None], None, None, None, 600)
    noise, part = model.initial(like, whole), replace(whole, positions=whole.positions[:, 500:502], columns=502)
    assert torch.equal(model.initial(like[:, :2], part), noise[:, 500:502])
    model.config.state_seed = 1
    assert not torch.equal(model.initial(like, whole), noise)
    size = model.config.init_values["std"] * model.config.embed_scale
    assert noise.abs().max() <= 3 * size
    assert noise.std().item() == pytest.approx(0.9866 * size, rel=0.02)  # of a normal cut off at 3 deviations


@torch.no_grad()
def test_the_state_may_begin_at_zero() -> None:
    looped = tiny_raven(dtype=torch.float64, state_init="zero")
    begin = torch.zeros(*IDS.shape, 32, dtype=torch.float64)
    expected = reference(looped.model.state_dict(), looped.model.config, IDS, 2, begin)
    torch.testing.assert_close(looped.model(IDS, n_loops=2).logits, expected, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_a_forward_behind_any_site_goes_on_as_the_whole_one_did() -> None:
    looped, states = tiny_raven(dtype=torch.float64), {}
    hooks = [
        block.register_forward_hook(lambda _, given, h: states.__setitem__(given[2], h.clone()))
        for block in (*looped.prelude, *looped.blocks, *looped.coda)
    ]
    whole = looped.model(IDS, n_loops=3).logits
    for hook in hooks:
        hook.remove()
    by_site = {site: states[slot] for slot, site in enumerate(looped.sites(3))}
    for site in looped.sites(3):
        behind = looped.resume_arguments(site, by_site)
        assert torch.equal(looped.model(**behind, n_loops=3, use_cache=False).logits, whole), site


def test_the_stages_are_listed_with_their_sites() -> None:
    looped = tiny_raven()
    assert looped.layers == {"prelude": 2, "core": 2, "coda": 1}
    assert looped.sites(2) == [
        *(Site(PRELUDE, 0), Site(PRELUDE, 1), Site(0, 0), Site(0, 1), Site(1, 0), Site(1, 1), Site(CODA, 0))
    ]
    assert [str(site) for site in looped.sites(1)] == ["prelude:0", "prelude:1", "0:0", "0:1", "coda:0"]
    assert [Site.read(str(site)) for site in looped.sites(2)] == looped.sites(2)


def test_the_published_config_is_read_as_it_stands() -> None:
    published = {"n_embd": 5280, "n_heads": 55, "tie_embeddings": True, "mean_recurrence": 32, "n_layers": 8}
    config = RavenConfig(**published, architecture_class_name="RecurrentGPT", block_class_name="SandwichBlock")
    assert (config.head_dim, config.num_key_value_heads, config.tie_word_embeddings) == (96, 55, True)
    assert config.embed_scale == pytest.approx(72.66, abs=0.01)
    assert config.init_values["std"] == pytest.approx(0.00870, abs=1e-5)


def test_heads_have_two_names() -> None:
    config = RavenConfig.from_dict({"n_embd": 32, "num_attention_heads": 2})
    assert (config.n_heads, config.head_dim, config.num_key_value_heads) == (2, 16, 2)
    assert RavenConfig.from_dict(config.to_dict()).n_heads == 2
    with pytest.raises(InputError, match="n_heads 4 and num_attention_heads 2: two names of one number"):
        RavenConfig(n_embd=32, n_heads=4, num_attention_heads=2)


def test_the_published_stop_tokens_end_a_turn_whatever_the_generation_config_says() -> None:
    looped = tiny_raven(vocab_size=65536, n_embd=8)
    looped.model.generation_config.eos_token_id = None
    assert {65504, 65505, 65508} <= set(looped.end_of_turn)
    assert max(tiny_raven().end_of_turn) < 65504


def test_noise_at_test_time_is_refused() -> None:
    settings = {**tiny_raven_config().to_dict(), "test_time_noise": 0.1}
    with pytest.raises(InputError, match=r"test_time_noise 0\.1"):
        check_fields(settings, RavenLooped.config_of(dict(settings)), RavenLooped, "mine")
    settings["test_time_noise"] = 0
    check_fields(settings, RavenLooped.config_of(dict(settings)), RavenLooped, "mine")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"injection_type": "add"}, "injection_type 'add': only 'linear' is known"),
        ({"state_init": "embed"}, "state_init 'embed': known are like-init, zero"),
        ({"mean_recurrence": 0}, "mean_recurrence 0: a looped model has at least one"),
        ({"n_layers_in_recurrent_block": 0}, "n_layers_in_recurrent_block 0"),
        ({"n_heads": 5}, "n_embd 32 is no multiple of n_heads 5"),
        ({"num_key_value_heads": 3}, "n_heads 2 is no multiple of num_key_value_heads 3"),
    ],
)
def test_configs_that_the_layout_cannot_compute_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_raven_config(**fields)
