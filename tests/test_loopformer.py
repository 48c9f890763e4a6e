"""LoopFormer: equal to a plain reference, its loops told apart by their time."""

import math

import pytest
import torch
from tiny_loopformer import tiny_loopformer, tiny_loopformer_config
from torch import Tensor
from torch.nn.functional import gelu, silu

from introspect.errors import InputError
from introspect.families.loopformer.config import LoopFormerConfig
from introspect.families.loopformer.model import LoopFormerLooped

KINDS = ("weight", "bias")
IDS = torch.tensor([[5, 17, 40, 8, 99, 3, 61]])


def reference(w: dict[str, Tensor], config: LoopFormerConfig, ids: Tensor, n_loops: int) -> Tensor:
    """Compute the logits of one text as the paper has it, without a cache."""
    n = ids.shape[1]

    def norm(x: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt()

    def linear(x: Tensor, name: str) -> Tensor:
        bias = w.get(f"{name}.bias")
        return x @ w[f"{name}.weight"].T + (0 if bias is None else bias)

    def embedding(time: float, name: str) -> Tensor:
        half = config.frequency_embedding_size // 2
        speeds = [math.exp(-math.log(10_000) * i / half) for i in range(half)]
        waves = [math.cos(time * each) for each in speeds] + [math.sin(time * each) for each in speeds]
        return linear(silu(linear(torch.tensor(waves, dtype=torch.float64), f"{name}.mlp.0")), f"{name}.mlp.2")

    def block(x: Tensor, time: Tensor, name: str) -> Tensor:
        add_attention, add_mlp, read_attention, read_mlp = linear(silu(time), f"{name}.adaLN_modulation.1").split(
            config.n_embd
        )
        read = linear(norm(x) * (1 + read_attention), f"{name}.attn.c_attn")
        q, k, v = (part.unflatten(-1, (config.n_head, -1)).transpose(1, 2) for part in read.chunk(3, -1))
        scores = q @ k.transpose(-1, -2) / config.head_dim**0.5
        mixed = scores.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf")).softmax(-1) @ v
        x = x + add_attention * linear(mixed.transpose(1, 2).flatten(2), f"{name}.attn.c_proj")
        return x + add_mlp * linear(gelu(linear(norm(x) * (1 + read_mlp), f"{name}.mlp.c_fc")), f"{name}.mlp.c_proj")

    x = w["transformer.wte.weight"][ids] + w["transformer.wpe.weight"][:n]
    for loop in range(n_loops):
        time = embedding(loop / n_loops, "time_embedder") + embedding(1 / n_loops, "dt_embedder")
        for layer in range(config.n_layer):
            x = block(x, time, f"transformer.h.blocks.{layer}")
    return (norm(x) * w["transformer.norm_f.weight"]) @ w["transformer.wte.weight"].T


@pytest.mark.parametrize("bias", [False, True])
@torch.no_grad()
def test_it_computes_what_the_paper_says(bias: bool) -> None:
    looped = tiny_loopformer(dtype=torch.float64, bias=bias)
    for n_loops in (1, 2, 3, 5):
        found = looped.model(IDS, **looped.forward_arguments(n_loops)).logits
        expected = reference(looped.model.state_dict(), looped.model.config, IDS, n_loops)
        assert (found - expected).abs().max() < 1e-10


@torch.no_grad()
def test_a_loop_knows_how_many_there_are() -> None:
    looped = tiny_loopformer()
    states = [looped.model(IDS, n_loops=n_loops).loop_states[0] for n_loops in (1, 2, 3)]
    assert not torch.allclose(states[0], states[1])
    assert not torch.allclose(states[1], states[2])


@torch.no_grad()
def test_a_text_longer_than_the_positions_is_refused() -> None:
    looped = tiny_loopformer(block_size=6)
    with pytest.raises(InputError, match="a text of 7 tokens: LoopFormer learned 6 positions"):
        looped.model(IDS)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_model_loops": 0}, "max_model_loops 0: a looped model runs at least one loop"),
        ({"n_head": 5}, "n_embd 32 is no multiple of n_head 5"),
        ({"tie_word_embeddings": False}, "LoopFormer's head is its embedding"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tiny_loopformer_config(**fields)


def test_eight_loops_are_meant_where_a_config_does_not_say_it() -> None:
    assert LoopFormerLooped.counts(LoopFormerConfig()) == (8, 3)
