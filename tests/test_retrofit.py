"""Retrofitted recurrence against a plain reference, against the pretrained model it was cut from, and its refusals."""

from pathlib import Path

import pytest
import torch
from tiny_retrofit import LLAMA3, tiny_retrofit, tiny_retrofit_config
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Olmo2Config, Olmo2ForCausalLM

from introspect.errors import InputError
from introspect.families.huginn.adapter import RavenLooped
from introspect.families.loading import load_model
from introspect.families.parts.layers import Shared
from introspect.families.registry import family_of
from introspect.families.retrofit.config import RetrofitConfig
from introspect.families.retrofit.model import RetrofitLooped

IDS = torch.tensor([[5, 60, 70, 80, 90, 17, 33, 2, 41], [9, 8, 7, 6, 5, 4, 3, 2, 1]])
WHOLE = Shared(torch.arange(IDS.shape[1])[None], None, None, None, IDS.shape[1])
PLAIN = {"rope_scaling": None}
LLAMA, OLMO = {"norm_eps": 1e-5}, {"norm_eps": 1e-6}
both = pytest.mark.parametrize("kind", [LLAMA | PLAIN, OLMO | PLAIN, LLAMA, OLMO])


def reference(weights: dict[str, Tensor], config: RetrofitConfig, n_loops: int, x: Tensor) -> Tensor:
    """Return the logits of one rotary base without scaling."""
    theta = config.rope_parameters["rope_theta"]
    olmo = config.norm_eps < 1e-5

    def normed(h: Tensor, name: str) -> Tensor:
        return h / (h.pow(2).mean(-1, keepdim=True) + config.norm_eps).sqrt() * weights[f"transformer.{name}.weight"]

    def turned(h: Tensor) -> Tensor:
        size, places, out = h.shape[-1], torch.arange(h.shape[-2], dtype=h.dtype), torch.empty_like(h)
        for pair in range(size // 2):
            angle, other = places * theta ** (-2 * pair / size), pair + size // 2
            out[..., pair] = h[..., pair] * angle.cos() - h[..., other] * angle.sin()
            out[..., other] = h[..., other] * angle.cos() + h[..., pair] * angle.sin()
        return out

    def attention(h: Tensor, name: str) -> Tensor:
        q, k, v = (h @ weights[f"transformer.{name}.attn.Wqkv.weight"].T).split([32, 16, 16], -1)
        if olmo:
            q, k = normed(q, f"{name}.attn.q_norm"), normed(k, f"{name}.attn.k_norm")
        heads = []
        for head in range(4):
            own, of = slice(8 * head, 8 * head + 8), slice(8 * (head // 2), 8 * (head // 2) + 8)
            scores = turned(q[..., own]) @ turned(k[..., of]).transpose(-1, -2) / 8**0.5
            later = torch.ones(scores.shape[-2:]).triu(1).bool()
            heads.append(scores.masked_fill(later, -torch.inf).softmax(-1) @ v[..., of])
        return torch.cat(heads, -1) @ weights[f"transformer.{name}.attn.proj.weight"].T

    def mlp(h: Tensor, name: str) -> Tensor:
        gate, value = (h @ weights[f"transformer.{name}.mlp.fc.weight"].T).chunk(2, -1)
        return (gate * torch.sigmoid(gate) * value) @ weights[f"transformer.{name}.mlp.proj.weight"].T

    def block(h: Tensor, name: str) -> Tensor:
        for part, norm in ((attention, "norm_1"), (mlp, "norm_2")):
            to_add = normed(part(h, name), f"{name}.{norm}") if olmo else part(normed(h, f"{name}.{norm}"), name)
            h = h + to_add
        return h

    e = weights["transformer.wte.weight"][IDS]
    for layer in range(config.n_layers_in_prelude):
        e = block(e, f"prelude.{layer}")
    mode = config.initial_state_mode
    x = x if mode in (None, "random", "noise") else e
    for loop in range(n_loops):
        if loop > 0 or mode != "skip-adapter":
            x = torch.cat([x, e], -1) @ weights["transformer.adapter.weight"].T
        for layer in range(config.n_layers_in_recurrent_block):
            x = block(x, f"core_block.{layer}")
    for layer in range(config.n_layers_in_coda):
        x = block(x, f"coda.{layer}")
    return normed(x, "ln_f") @ weights["lm_head.weight"].T


@pytest.mark.parametrize("kind", [LLAMA | PLAIN, OLMO | PLAIN])
@pytest.mark.parametrize("n_loops", [1, 3, 5])
@torch.no_grad()
def test_the_logits_are_those_of_a_plain_reference(kind: dict[str, object], n_loops: int) -> None:
    looped = tiny_retrofit(dtype=torch.float64, **kind)
    begin = looped.model.initial(torch.zeros(*IDS.shape, 32, dtype=torch.float64), WHOLE)
    assert begin.abs().max() > 0.1
    expected = reference(looped.model.state_dict(), looped.model.config, n_loops, begin)
    torch.testing.assert_close(looped.model(IDS, n_loops=n_loops).logits, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("mode", ["random", "noise", "skip-adapter", "embed-init"])
@torch.no_grad()
def test_the_first_loop_begins_as_the_config_says(mode: str) -> None:
    looped = tiny_retrofit(dtype=torch.float64, **LLAMA, **PLAIN, initial_state_mode=mode)
    noise = tiny_retrofit(dtype=torch.float64, **LLAMA, **PLAIN).model
    begin = noise.initial(torch.zeros(*IDS.shape, 32, dtype=torch.float64), WHOLE)
    for n_loops in (1, 2, 4):
        expected = reference(looped.model.state_dict(), looped.model.config, n_loops, begin)
        found = looped.model(IDS, n_loops=n_loops).logits
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
        assert (found - noise(IDS, n_loops=n_loops).logits).abs().max() > 1e-3 or mode in ("random", "noise")


def test_an_unknown_way_to_begin_is_refused() -> None:
    with pytest.raises(
        InputError, match="unknown initial_state_mode 'zeros'; known: None, random, noise, skip-adapter, embed"
    ):
        tiny_retrofit_config(initial_state_mode="zeros")


def test_how_the_first_loop_begins_is_part_of_the_hash() -> None:
    hashes = {tiny_retrofit(initial_state_mode=mode).weights_hash for mode in (None, "skip-adapter", "embed-init")}
    assert len(hashes) == 3
    assert tiny_retrofit(initial_state_mode="random").weights_hash in hashes, "noise, as where the file says nothing"


@both
@torch.no_grad()
def test_with_one_loop_it_is_the_pretrained_model_it_was_cut_from(kind: dict[str, object]) -> None:
    looped = tiny_retrofit(**kind)
    adapter = looped.model.transformer.adapter.weight
    adapter.copy_(torch.cat([torch.zeros(32, 32), torch.eye(32)], -1))
    torch.testing.assert_close(
        looped.model(IDS, n_loops=1).logits, pretrained(looped)(IDS).logits, atol=2e-4, rtol=1e-4
    )


def pretrained(looped: RetrofitLooped) -> LlamaForCausalLM | Olmo2ForCausalLM:
    """Make transformers' own model of the same weights; its rotary angles are in float32."""
    config = looped.model.config
    shape = {
        "vocab_size": config.vocab_size,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": config.rope_parameters,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "tie_word_embeddings": False,
    }
    model = Olmo2ForCausalLM(Olmo2Config(**shape)) if config.post_norm else LlamaForCausalLM(LlamaConfig(**shape))
    before, behind = ("post_attention", "post_feedforward") if config.post_norm else ("input", "post_attention")
    names = {"attn.proj": "self_attn.o_proj", "mlp.proj": "mlp.down_proj", "norm_1": f"{before}_layernorm"}
    names |= {"norm_2": f"{behind}_layernorm", "attn.q_norm": "self_attn.q_norm", "attn.k_norm": "self_attn.k_norm"}
    own = looped.model.state_dict()
    given = {"lm_head.weight": own["lm_head.weight"], "model.embed_tokens.weight": own["transformer.wte.weight"]}
    given["model.norm.weight"] = own["transformer.ln_f.weight"]
    for number, block in enumerate((*looped.prelude, *looped.blocks, *looped.coda)):
        to, weights = f"model.layers.{number}", block.state_dict()
        q, k, v = weights.pop("attn.Wqkv.weight").split([32, 16, 16])
        gate, up = weights.pop("mlp.fc.weight").chunk(2)
        given |= {f"{to}.self_attn.{name}_proj.weight": part for name, part in zip("qkv", (q, k, v), strict=True)}
        given |= {f"{to}.mlp.gate_proj.weight": gate, f"{to}.mlp.up_proj.weight": up}
        given |= {f"{to}.{names[name.removesuffix('.weight')]}.weight": part for name, part in weights.items()}
    model.load_state_dict(given)
    return model.eval()


@both
@torch.no_grad()
def test_the_read_out_after_a_loop_is_what_a_model_of_so_many_loops_says(kind: dict[str, object]) -> None:
    looped = tiny_retrofit(dtype=torch.float64, **kind)
    for loop, state in enumerate(looped.model(IDS, n_loops=4).loop_states):
        torch.testing.assert_close(looped.readout(state), looped.model(IDS, n_loops=loop + 1).logits)


@both
@torch.no_grad()
def test_a_forward_behind_any_site_goes_on_as_the_whole_one_did(kind: dict[str, object]) -> None:
    looped, states = tiny_retrofit(dtype=torch.float64, **kind), {}
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


def test_the_published_config_is_told_from_huginns_and_read_as_it_stands() -> None:
    """Fields as the published conversion writes them for Llama-3.2-1B, into a copy of Huginn's config."""
    huginn = {"model_type": "huginn_raven", "n_embd": 5280, "n_heads": 55, "block_class_name": "SandwichBlock"}
    published = huginn | {
        **{"n_embd": 2048, "n_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 8192},
        **{"n_layers": 14, "n_layers_in_prelude": 4, "n_layers_in_recurrent_block": 6, "n_layers_in_coda": 4},
        **{"norm_eps": 1e-5, "vocab_size": 128256, "padded_vocab_size": 128256, "tie_embeddings": False},
        **{"rope_base": 50_000.0, "rope_theta": 500_000.0, "rope_scaling": LLAMA3, "max_position_embeddings": 131072},
        **{"qk_bias": False, "init_values": {"std": 0.0087, "embed_scale": 1.0}, "mean_recurrence": 32},
    }
    assert family_of(huginn, name="x") is RavenLooped
    assert family_of(published, name="x") is RetrofitLooped
    config = RetrofitLooped.config_of(published)
    assert (config.embed_scale, config.init_values["std"], config.post_norm) == (1.0, 0.0087, False)
    assert (config.head_dim, config.num_key_value_heads, config.tie_word_embeddings) == (64, 8, False)
    assert config.rope_parameters == LLAMA3 | {"rope_theta": 500_000.0}
    assert RetrofitLooped.config_of(published | {"norm_eps": 1e-6}).post_norm
    assert RetrofitLooped.config_of(config.to_dict()).to_dict() == config.to_dict()


def test_weights_of_the_other_kind_of_block_are_refused(tmp_path: Path) -> None:
    looped = tiny_retrofit(**LLAMA)
    looped.model.config.post_norm = True
    looped.model.save_pretrained(tmp_path)
    looped.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"missing weights: .*k_norm\.weight"):
        load_model(str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rope_theta": None}, "rope_theta is missing"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_type 'yarn': known are default, llama3"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope_parameters lack factor, high_freq_factor"),
        ({"qk_bias": True}, "qk_bias true"),
        ({"mean_recurrence": 0}, "mean_recurrence 0: a looped model has at least one"),
        ({"num_key_value_heads": 3}, "n_heads 4 is no multiple of num_key_value_heads 3"),
    ],
)
def test_configs_that_the_layout_cannot_compute_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_retrofit_config(**fields)
