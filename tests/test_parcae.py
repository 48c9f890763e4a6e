"""The Parcae layout against a plain reference on its weights, its published files, its stages, and its refusals."""

import json
from pathlib import Path

import pytest
import torch
from oracle import hooked
from tiny_parcae import tiny_parcae, tiny_parcae_config
from torch import Tensor

from introspect.errors import InputError
from introspect.families.loading import load_model, peek
from introspect.families.parcae.config import ParcaeConfig
from introspect.families.parcae.model import ParcaeLooped
from introspect.families.parts.layers import Shared
from introspect.records.trial import CODA, Site

IDS = torch.tensor([[5, 60, 70, 80, 90, 17, 33], [9, 8, 7, 6, 5, 4, 3]])
SETTINGS = (
    {},
    {"prelude_norm": False, "qk_norm": False, "logit_softcap": 2.0, "state_init": "zero"},
    {"n_layers_in_prelude": 1, "n_layers_in_recurrent_block": 3, "n_layers_in_coda": 1, "mean_backprop_depth": 1},
    {"rope_settings": {"use_rope": False, "rope_condense_ratio": 2, "rope_base": 100}},
    {"tie_embeddings": False, "recurrent_intermediation_embedding_dimension": 40},
)


def reference(weights: dict[str, Tensor], config: ParcaeConfig, n_loops: int, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the logits and the state after each loop; a gate's weight says where there is one."""

    def times(h: Tensor, name: str) -> Tensor:
        return h @ weights[f"{name}.weight"].T

    def normed(h: Tensor, name: str) -> Tensor:
        return h / (h.pow(2).mean(-1, keepdim=True) + config.norm_eps).sqrt() * weights[f"{name}.weight"]

    def turned(h: Tensor) -> Tensor:
        size, places, out = h.shape[-1], torch.arange(h.shape[1], dtype=h.dtype), torch.empty_like(h)
        for pair in range(size // 2):
            angle = (places * 50_000.0 ** (-2 * pair / size))[:, None]
            even, odd = h[..., 2 * pair], h[..., 2 * pair + 1]
            out[..., 2 * pair] = even * angle.cos() - odd * angle.sin()
            out[..., 2 * pair + 1] = odd * angle.cos() + even * angle.sin()
        if config.qk_norm:
            out = out / (out.pow(2).mean(-1, keepdim=True) + torch.finfo(out.dtype).eps).sqrt()
        return out

    def block(h: Tensor, name: str, number: int) -> Tensor:
        read = normed(h, f"{name}.norm_1")
        q, k, v = (times(read, f"{name}.attn.c_{part}").unflatten(-1, (4, 8)) for part in "qkv")
        embed, gate = f"value_embeds.{number}", f"{name}.attn.ve_gate"
        if f"{embed}.weight" in weights and f"{gate}.weight" in weights:
            opened = 2 / (1 + (-times(read[..., :32], gate)).exp())
            v = v + opened[..., None] * weights[f"{embed}.weight"][IDS].unflatten(-1, (4, 8))
        scores = torch.einsum("bqhd,bkhd->bhqk", turned(q), turned(k)) / 8**0.5
        later = torch.ones(scores.shape[-2:]).triu(1).bool()
        mixed = torch.einsum("bhqk,bkhd->bqhd", scores.masked_fill(later, -torch.inf).softmax(-1), v).flatten(2)
        h = h + times(mixed, f"{name}.attn.c_proj")
        wide = times(normed(h, f"{name}.norm_2"), f"{name}.mlp.fc")
        return h + times((wide * (wide > 0)) ** 2 / 2, f"{name}.mlp.proj")

    before, core, behind = len(stage(config, 0)), len(stage(config, 1)), len(stage(config, 2))
    e = weights["transformer.wte.weight"][IDS]
    for layer in range(before):
        e = block(e, f"transformer.prelude.{layer}", layer)
    e = normed(e, "transformer.ln_prelude") if config.prelude_norm else e
    dt, states = (1 + weights["transformer.adapter.dt_bias"].exp()).log(), list[Tensor]()
    decay = (-dt * weights["transformer.adapter.A_log"].exp()).exp()
    for _ in range(n_loops):
        x = x * decay + dt * (e @ weights["transformer.adapter.B"].T)
        for layer in range(core):
            x = block(x, f"transformer.core_block.{layer}", before + layer)
        states.append(x)
    x = times(x, "transformer.C")
    for layer in range(behind):
        x = block(x, f"transformer.coda.{layer}", before + core + layer)
    logits = times(normed(x, "transformer.ln_f"), "lm_head")
    return (logits if config.logit_softcap is None else (logits / 2).tanh() * 2), states


def stage(config: ParcaeConfig, number: int) -> range:
    names = ("n_layers_in_prelude", "n_layers_in_recurrent_block", "n_layers_in_coda")
    return range(getattr(config, names[number]))


@pytest.mark.parametrize("fields", SETTINGS)
@pytest.mark.parametrize("n_loops", [1, 3, 5])
@torch.no_grad()
def test_states_and_logits_are_those_of_a_plain_reference(n_loops: int, fields: dict[str, object]) -> None:
    looped = tiny_parcae(dtype=torch.float64, **fields)
    like = torch.zeros(*IDS.shape, 32, dtype=torch.float64)
    shared = Shared(torch.arange(IDS.shape[1])[None], None, None, None, IDS.shape[1])
    begin = looped.model.initial(like, shared)
    assert (begin == 0).all() == (fields.get("state_init") == "zero")
    expected, states = reference(looped.model.state_dict(), looped.model.config, n_loops, begin)
    output = looped.model(IDS, n_loops=n_loops)
    torch.testing.assert_close(output.logits, expected, atol=1e-10, rtol=1e-10)
    for state, other in zip(output.loop_states, states, strict=True):
        torch.testing.assert_close(state, other, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_the_read_out_after_a_loop_is_what_a_model_of_so_many_loops_says() -> None:
    looped = tiny_parcae(dtype=torch.float64)
    states = looped.model(IDS, n_loops=4).loop_states
    said = [looped.readout(state) for state in states]
    for loop, logits in enumerate(said):
        torch.testing.assert_close(logits, looped.model(IDS, n_loops=loop + 1).logits)


@torch.no_grad()
def test_a_state_is_not_read_out_as_being_of_other_tokens() -> None:
    looped = tiny_parcae()
    state = looped.model(IDS, n_loops=1).loop_states[0]
    looped.model(IDS[:, :3], n_loops=1)
    with pytest.raises(AssertionError, match="not of the latest tokens"):
        looped.readout(state)


@torch.no_grad()
def test_values_come_from_the_token_of_every_other_block_to_the_last_one() -> None:
    looped, changed = tiny_parcae(dtype=torch.float64), {}
    seen: dict[Site, Tensor] = {}
    visits = {site: (lambda h, site=site: seen.__setitem__(site, h.clone())) for site in looped.sites(2)}
    with hooked(looped, visits):
        looped.model(IDS, n_loops=2)
        clean = dict(seen)
        looped.model.value_embeds["5"].weight += 1.0
        looped.model(IDS, n_loops=2)
        changed = {site for site, h in seen.items() if not torch.equal(h, clean[site])}
    assert list(looped.model.value_embeds) == ["1", "3", "5"]
    assert changed == {Site(CODA, 1)}


def test_forwards_begin_with_the_tokens() -> None:
    looped = tiny_parcae()
    assert not looped.resumes
    assert looped.layers == {"prelude": 2, "core": 2, "coda": 2}


def published(folder: Path) -> ParcaeLooped:
    """Save a model as it is published: its config in all fields, one file of torch, angles and both tied weights."""
    looped = tiny_parcae(norm_eps=1e-5)
    config = {
        **{"name": "parcae-small-140m", "hf_config": {"org": "SandyResearch", "name": "parcae-small-140m"}},
        **{"block_size": 2048, "n_embd": 32, "intermediate_size": 48, "num_attention_heads": 4},
        **{"num_key_value_heads": 4, "vocab_size": looped.model.config.vocab_size, "padding_multiple": 64},
        **{"padded_vocab_size": looped.model.config.vocab_size},
        **{"rope_settings": {"use_rope": True, "rope_condense_ratio": 1, "rope_base": 100}, "use_abacus": False},
        **{"randomize_positions_from": None, "block_class_name": "TransformerPreNormBlock"},
        **{"norm_class_name": "RMSNorm", "attn_impl": "flash", "norm_eps": 1e-5, "mlp_class_name": "BaseMLP"},
        **{"nonlin_name": "ReLU2", "bias": False, "qk_bias": False, "init_strategy": "scaled-zero"},
        **{"init_orthogonal": True, "skip_initialization": False, "mup_model_scaling_factor": 1},
        **{"use_fused_head": "pytorch", "debias_attention": False, "center_attention": False, "clip_qkv": None},
        **{"qk_norm": True, "logit_softcap": None, "activation_checkpoint_impl": "per-iteration"},
        **{"simple_ops": False, "strategy": "single", "injection_type": "diagonal", "state_init": "like-init"},
        **{"n_layers_in_recurrent_block": 2, "n_layers_in_prelude": 2, "n_layers_in_coda": 2},
        **{"recurrent_embedding_dimension": 32, "recurrent_intermediation_embedding_dimension": 48},
        **{"recurrent_num_attention_heads": None, "prelude_norm": True, "sampling_scheme": "poisson-truncated-full"},
        **{"mean_recurrence": 3, "mean_backprop_depth": 2, "lockstep_n": False, "lockstep_k": False},
        **{"curriculum_target": "forward", "recurrent_iteration_method": "per-sequence", "tie_embeddings": True},
        **{"model_class_name": "Parcae", "_is_recurrent_block_config": False, "_class_name": "ParcaeConfig"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    looped.tokenizer.save_pretrained(folder)
    torch.save(looped.model.state_dict() | {"freqs_cis": torch.rand(1, 2048, 1, 4, 2)}, folder / "pytorch_model.bin")
    return looped


@torch.no_grad()
def test_published_files_are_read_as_they_stand(tmp_path: Path) -> None:
    looped = published(tmp_path)
    again = load_model(str(tmp_path), device="cpu", dtype="float32")
    assert isinstance(again, ParcaeLooped)
    assert peek(str(tmp_path)).layers == {"prelude": 2, "core": 2, "coda": 2}
    assert again.weights_hash == looped.weights_hash
    assert torch.equal(again.model(IDS, n_loops=3).logits, looped.model(IDS, n_loops=3).logits)


@torch.no_grad()
def test_weights_may_be_in_the_file_that_the_published_code_saves(tmp_path: Path) -> None:
    looped = published(tmp_path)
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "model.pt")
    again = load_model(str(tmp_path), device="cpu", dtype="float32")
    assert again.weights_hash == looped.weights_hash
    assert torch.equal(again.model(IDS, n_loops=2).logits, looped.model(IDS, n_loops=2).logits)
    assert load_model(str(tmp_path), device="cpu", dtype="bfloat16").dtype == torch.bfloat16


def test_of_two_files_the_one_is_read_that_the_published_loader_tries_first(tmp_path: Path) -> None:
    looped = published(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"no weights")
    assert load_model(str(tmp_path), device="cpu", dtype="float32").weights_hash == looped.weights_hash


class Planted:
    """An object whose reading would run code."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return exec, ("raise SystemExit('code of a checkpoint was run')", "")


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (Planted(), "model.pt cannot be read as tensors alone"),
        ({"wte": Planted()}, "model.pt cannot be read as tensors alone"),
        ([torch.ones(1)], "model.pt holds no tensors by name"),
        ({"step": 7}, "model.pt holds no tensors by name"),
        ({"lm_head.weight": torch.ones(2, 2)}, "(missing|misshapen) weights"),
    ],
)
def test_a_file_of_anything_but_the_models_tensors_is_refused(saved: object, said: str, tmp_path: Path) -> None:
    published(tmp_path)
    (tmp_path / "pytorch_model.bin").unlink()
    torch.save(saved, tmp_path / "model.pt")
    with pytest.raises(InputError, match=said):
        load_model(str(tmp_path), device="cpu", dtype="float32")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"injection_type": "linear"}, "injection_type 'linear': only 'diagonal' is known"),
        ({"nonlin_name": "GELU"}, "nonlin_name 'GELU': only 'ReLU2' is known"),
        ({"qk_bias": True}, "qk_bias True: only False is known"),
        ({"state_init": "unit"}, "state_init 'unit': known are like-init, zero"),
        ({"recurrent_embedding_dimension": 64}, "recurrent_embedding_dimension 64: only a core as wide"),
        ({"num_key_value_heads": 2}, "num_key_value_heads 2: the core has as many as heads, 4"),
        ({"mean_recurrence": 0}, "mean_recurrence 0: a Parcae model has at least one"),
        ({"n_layers_in_coda": 0}, "n_layers_in_coda 0"),
        ({"num_attention_heads": 5}, "n_embd 32 does not give 5 num_attention_heads of an even size"),
    ],
)
def test_configs_that_the_layout_cannot_compute_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_parcae_config(**fields)
