"""Nanbeige4.2: equal to a plain reference, with one loop to Llama; its published files; what it refuses."""

import json
from pathlib import Path

import pytest
import torch
from tiny import save_tiny
from tiny_nanbeige import tiny_nanbeige, tiny_nanbeige_config
from torch import Tensor
from torch.nn.functional import silu
from transformers import LlamaConfig, LlamaForCausalLM

from introspect.errors import InputError
from introspect.families.loading import load_model, peek
from introspect.families.nanbeige.config import NanbeigeConfig

IDS = torch.tensor([[5, 60, 70, 80, 90, 17, 33], [9, 8, 7, 6, 5, 4, 3]])


def reference(w: dict[str, Tensor], config: NanbeigeConfig, n_loops: int) -> Tensor:
    """Compute the logits without a cache: all blocks, then the norm, again and again."""
    size, n, theta = 8, IDS.shape[1], 100.0

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + config.rms_norm_eps).sqrt() * w[f"{name}.weight"]

    def turn(x: Tensor) -> Tensor:
        out = x.clone()
        for position in range(n):
            for pair in range(size // 2):
                angle = torch.tensor(position * theta ** (-2 * pair / size), dtype=x.dtype)
                a, b = x[:, position, pair], x[:, position, pair + size // 2]
                out[:, position, pair] = a * angle.cos() - b * angle.sin()
                out[:, position, pair + size // 2] = b * angle.cos() + a * angle.sin()
        return out

    def attention(x: Tensor, name: str) -> Tensor:
        q, k, v = (x @ w[f"{name}.{part}_proj.weight"].T for part in "qkv")
        heads = []
        for head in range(8):
            own, of = slice(size * head, size * (head + 1)), slice(size * (head // 4), size * (head // 4 + 1))
            scores = turn(q[..., own]) @ turn(k[..., of]).transpose(-1, -2) / size**0.5
            later = torch.ones(n, n, dtype=torch.bool).triu(1)
            heads.append(scores.masked_fill(later, -torch.inf).softmax(-1) @ v[..., of])
        return torch.cat(heads, -1) @ w[f"{name}.o_proj.weight"].T

    h = w["model.embed_tokens.weight"][IDS]
    for _ in range(n_loops):
        for layer in range(config.num_hidden_layers):
            at = f"model.layers.{layer}"
            h = h + attention(norm(h, f"{at}.input_layernorm"), f"{at}.self_attn")
            read = norm(h, f"{at}.post_attention_layernorm")
            inner = silu(read @ w[f"{at}.mlp.gate_proj.weight"].T) * (read @ w[f"{at}.mlp.up_proj.weight"].T)
            h = h + inner @ w[f"{at}.mlp.down_proj.weight"].T
        h = norm(h, "model.norm")
    return h @ w["lm_head.weight"].T


@pytest.mark.parametrize("n_loops", [1, 2, 3, 5])
@torch.no_grad()
def test_it_computes_all_blocks_and_the_norm_in_every_loop(n_loops: int) -> None:
    looped = tiny_nanbeige(dtype=torch.float64)
    found = looped.model(IDS, **looped.forward_arguments(n_loops)).logits
    expected = reference(looped.model.state_dict(), looped.model.config, n_loops)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_with_one_loop_it_is_llama() -> None:
    looped = tiny_nanbeige()
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    shape = {name: getattr(looped.model.config, name) for name in names}
    more = {"num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-5, "pad_token_id": 0}
    plain = LlamaForCausalLM(LlamaConfig(**shape, **more, rope_parameters=looped.model.config.rope_parameters)).eval()
    plain.load_state_dict(looped.model.state_dict())  # the names are Llama's
    torch.testing.assert_close(looped.model(IDS, n_loops=1).logits, plain(IDS).logits, rtol=1e-4, atol=1e-4)


def test_weights_of_training_tell_the_loops() -> None:
    assert tiny_nanbeige_config(loop_loss_weights=[0.1, 0.2, 0.3]).trained_loops == 4


OTHERS = (
    *("qk_layernorm", "emb_neighbor_num", "enable_double_loop_split", "loop_middle_layers", "loop_share_kv"),
    *("enable_hyper_connection", "enable_mhc", "enable_depth_attention", "skip_loop_final_norm"),
)


def test_what_later_models_of_its_kind_compute_is_refused_by_name(tmp_path: Path) -> None:
    folder = save_tiny(tiny_nanbeige(), tmp_path)
    load_model(str(folder), device="cpu")
    settings = json.loads((folder / "config.json").read_text())
    for field in OTHERS:
        (folder / "config.json").write_text(json.dumps(settings | {field: 2}))
        with pytest.raises(InputError, match=f"{field} 2"):
            peek(str(folder))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_loops": 0}, "num_loops 0: a looped model runs at least one loop"),
        ({"num_key_value_heads": 3}, "num_attention_heads 8 is no multiple of num_key_value_heads 3"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope type 'yarn'"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tiny_nanbeige_config(**fields)
