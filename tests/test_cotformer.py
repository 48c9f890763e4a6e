"""CoTFormer and block universal transformer: equal to a plain reference; what a repeat attends to is what is said."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_cotformer import tiny_cotformer, tiny_cotformer_config
from torch import Tensor
from torch.nn.functional import gelu, layer_norm

from introspect.errors import InputError
from introspect.families.cotformer.config import CotformerConfig
from introspect.families.loading import load_model

IDS = torch.tensor([[5, 17, 40, 8, 99, 3, 61]])
VARIANTS: list[dict[str, object]] = [
    {},
    {"depth_embedding": "learned", "bias": True},
    {"depth_embedding": "linear_learned", "disable_ln_mid": True},
    {"architecture": "but_full_depth"},
]


def reference(w: dict[str, Tensor], config: CotformerConfig, ids: Tensor, n_loops: int) -> Tensor:
    """Compute the logits of one text as the paper has it: a token's repeats stand beside it in the sequence."""
    n, size = ids.shape[1], config.head_dim
    kept: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w.get(f"{name}.bias"), 1e-5)

    def linear(x: Tensor, name: str) -> Tensor:
        bias = w.get(f"{name}.bias")
        return x @ w[f"{name}.weight"].T + (0 if bias is None else bias)

    def turn(x: Tensor) -> Tensor:
        out = x.clone()
        for position in range(n):
            for pair in range(size // 2):
                angle = torch.tensor(position * 10_000.0 ** (-2 * pair / size), dtype=x.dtype)
                a, b = x[..., position, 2 * pair], x[..., position, 2 * pair + 1]
                out[..., position, 2 * pair] = a * angle.cos() - b * angle.sin()
                out[..., position, 2 * pair + 1] = b * angle.cos() + a * angle.sin()
        return out

    def block(x: Tensor, name: str) -> Tensor:
        read = norm(x, f"{name}.ln_1")
        if config.architecture != "cotformer":
            parts = [linear(read, f"{name}.attn.q_attn"), *linear(read, f"{name}.attn.c_attn").chunk(2, -1)]
        else:
            parts = list(linear(read, f"{name}.attn.c_attn").chunk(3, -1))
        q, k, v = (part.unflatten(-1, (config.n_head, size)).transpose(1, 2) for part in parts)
        repeats = kept.setdefault(name, [])
        if config.architecture != "cotformer":
            repeats.clear()
        repeats.append((turn(k), v))
        scores = torch.cat([turn(q) @ k.transpose(-1, -2) / size**0.5 for k, _ in repeats], dim=-1)
        ahead = torch.ones(n, n, dtype=torch.bool).triu(1).repeat(1, len(repeats))
        mixed = scores.masked_fill(ahead, float("-inf")).softmax(-1) @ torch.cat([v for _, v in repeats], dim=2)
        x = x + linear(mixed.transpose(1, 2).flatten(2), f"{name}.attn.c_proj")
        return x + linear(gelu(linear(norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc")), f"{name}.mlp.c_proj")

    x = w["transformer.wte.weight"][ids]
    for layer in range(config.n_layer_begin):
        x = block(x, f"transformer.h_begin.{layer}")
    for repeat in range(n_loops):
        left = n_loops - 1 - repeat
        if config.depth_embedding == "learned":
            x = x + w["depth_emb.embs.weight"][left]
        if config.depth_embedding == "linear_learned":
            x = x + left * w["depth_emb.embs.weight"][0]
        for layer in range(config.n_layer_mid):
            x = block(x, f"transformer.h_mid.{layer}")
        x = x if config.disable_ln_mid else norm(x, "transformer.ln_mid")
    for layer in range(config.n_layer_end):
        x = block(x, f"transformer.h_end.{layer}")
    return norm(x, "transformer.ln_f") @ w["transformer.wte.weight"].T


@pytest.mark.parametrize("fields", VARIANTS)
@torch.no_grad()
def test_it_computes_what_the_paper_says(fields: dict[str, object]) -> None:
    looped = tiny_cotformer(dtype=torch.float64, **fields)
    for n_loops in (1, 2, 3):
        found = looped.model(IDS, **looped.forward_arguments(n_loops)).logits
        expected = reference(looped.model.state_dict(), looped.model.config, IDS, n_loops)
        assert (found - expected).abs().max() < 1e-10


@torch.no_grad()
def test_masks_and_angles_in_a_published_state_are_passed_over(tmp_path: Path) -> None:
    looped = tiny_cotformer(architecture="but_full_depth")
    looped.model.save_pretrained(tmp_path)
    looped.tokenizer.save_pretrained(tmp_path)
    state = {name: tensor.clone() for name, tensor in looped.model.state_dict().items() if name != "lm_head.weight"}
    state |= {f"transformer.h_mid.{layer}.attn.bias": torch.ones(1, 1, 8, 8) for layer in range(2)}
    state |= {"freqs": torch.rand(8), "transformer.pos_emb.freqs": torch.rand(8)}
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    again = load_model(str(tmp_path), device="cpu", dtype="float32")
    assert torch.equal(again.model(IDS).logits, looped.model(IDS).logits)
    assert "transformer.ln_mid.weight" not in state


@torch.no_grad()
def test_a_cotformer_differs_from_a_but_by_what_it_remembers() -> None:
    """With the same weights they are one in the first repeat and two from then on."""
    cot, but = (tiny_cotformer(architecture=name, disable_ln_mid=True) for name in ("cotformer", "but"))
    weights = {}
    for name, weight in cot.model.state_dict().items():
        if name.endswith("attn.c_attn.weight"):
            weights[name.replace("c_attn", "q_attn")], weights[name] = weight.split([32, 64])
        else:
            weights[name] = weight
    but.model.load_state_dict(weights)
    one, three = ([looped.model(IDS, n_loops=n).logits for looped in (cot, but)] for n in (1, 3))
    torch.testing.assert_close(*one)
    assert (three[0] - three[1]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"architecture": "pondernet"}, "unknown architecture 'pondernet'"),
        ({"depth_embedding": "sine"}, "unknown depth_embedding 'sine'"),
        ({"mod_capacity_factor": 0.6}, "mod_capacity_factor 0.6: routing, halting"),
        ({"n_layer": 2}, "n_layer 2: no block is left to repeat"),
        ({"n_repeat": 0}, "n_repeat 0: a looped model runs at least one loop"),
        ({"n_head": 5}, "n_embd 32 with n_head 5"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tiny_cotformer_config(**fields)


def test_repeats_beyond_the_learned_depths_are_refused() -> None:
    looped = tiny_cotformer(depth_embedding="learned")
    with pytest.raises(InputError, match="n_loops 4: the depth embedding has been learned for 3"):
        looped.forward_arguments(4)
    assert tiny_cotformer(depth_embedding="linear_learned").forward_arguments(4) == {"n_loops": 4}
