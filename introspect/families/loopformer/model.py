"""LoopFormer (arXiv 2602.11451): one stack run again and again, told in every loop how far it is and how far it goes.

    x = E[tokens] + P[positions];   x = stack(x, time(r / N) + step(1 / N)) in loop r of N;   head(norm(x))

Goes in: token ids, a mask, a cache. Come out: logits of the last loop, and on demand the state after every loop. Weight
names are those of the published code. It has no cache; here every loop has slots of its own.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.families.loopformer.config import LoopFormerConfig
from introspect.families.parts.layers import Attention, PlainMLP, Shared, at_least_float32, rms_normed
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.models.about import About, equal_to_published
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site

_LONGEST_PERIOD = 10_000
"""Of the waves in which a time is written."""


class LoopFormerAttention(Attention):
    """Attention over what this slot has seen; positions are in the stream."""

    def __init__(self, config: LoopFormerConfig) -> None:
        super().__init__(config, config.n_head, config.n_head, config.head_dim)
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(part) for part in self.c_attn(h).chunk(3, dim=-1))
        return self.c_proj(self.attend(q, k, v, shared, slot))


class LoopFormerBlock(nn.Module):
    """One block: the time scales what both parts read and what they add."""

    def __init__(self, config: LoopFormerConfig) -> None:
        super().__init__()
        self.attn = LoopFormerAttention(config)
        self.mlp = PlainMLP(config.n_embd, config.intermediate_dim, bias=config.bias)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.n_embd, 4 * config.n_embd))

    def forward(self, h: Tensor, shared: Shared, slot: int, time: Tensor) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`; `time` is `(d_model,)`."""
        add_attention, add_mlp, read_attention, read_mlp = self.adaLN_modulation(time).chunk(4)
        h = h + add_attention * self.attn(_normed(h) * (1 + read_attention), shared, slot)
        return h + add_mlp * self.mlp(_normed(h) * (1 + read_mlp))


class SharedBlocks(nn.Module):
    """The looped stack."""

    def __init__(self, config: LoopFormerConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([LoopFormerBlock(config) for _ in range(config.n_layer)])


class TimeEmbedder(nn.Module):
    """Writes a time as waves and reads them."""

    def __init__(self, config: LoopFormerConfig) -> None:
        super().__init__()
        self.size = config.frequency_embedding_size
        first, second = nn.Linear(self.size, config.n_embd), nn.Linear(config.n_embd, config.n_embd)
        self.mlp = nn.Sequential(first, nn.SiLU(), second)

    def forward(self, time: float, like: Tensor) -> Tensor:
        """Return the embedding of a time, `(d_model,)`, in the number format and on the device of a tensor."""
        half = self.size // 2
        steps = torch.arange(half, dtype=at_least_float32(like.dtype), device=like.device)
        angles = time * torch.exp(-math.log(_LONGEST_PERIOD) * steps / half)
        waves = torch.cat([angles.cos(), angles.sin(), angles.new_zeros(self.size % 2)])
        return self.mlp(waves.to(like.dtype))


class FinalNorm(nn.Module):
    """Scales to unit root mean square, then by a learned gain; nothing but rounding keeps it from dividing by zero."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, h: Tensor) -> Tensor:
        """Norm the last axis."""
        return self.weight * _normed(h)


class LoopFormerModel(nn.Module):
    """The embeddings, the looped stack and its norm."""

    def __init__(self, config: LoopFormerConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.h = SharedBlocks(config)
        self.norm_f = FinalNorm(config.n_embd)


class LoopFormerForCausalLM(LoopedCausalLM):
    """The looped language model."""

    config_class = LoopFormerConfig
    config: LoopFormerConfig
    base_model_prefix = "transformer"
    _no_split_modules = ["LoopFormerBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"lm_head.weight": "transformer.wte.weight"}  # noqa: RUF012 (read by transformers)

    def __init__(self, config: LoopFormerConfig) -> None:
        super().__init__(config)
        self.transformer = LoopFormerModel(config)
        self.time_embedder, self.dt_embedder = TimeEmbedder(config), TimeEmbedder(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the loops of the longest way as trained."""
        return self.config.max_model_loops

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.transformer.wte

    def check_length(self, columns: int) -> None:
        """Raise InputError for a text of more tokens than there are learned positions."""
        longest = self.config.block_size
        if columns > longest:
            raise InputError(f"a text of {columns} tokens: LoopFormer learned {longest} positions")

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:
        """Return the residual stream before the first block, `(batch, position, d_model)`."""
        embedding: Tensor = self.transformer.wte(input_ids) + self.transformer.wpe(positions)
        return embedding

    def angles(self, positions: Tensor, h: Tensor) -> None:
        """Return no rotary angles: positions are learned."""

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the stack in equal steps; the states are as the last block put them out, and the head reads the last."""
        blocks = self.transformer.h.blocks
        states: list[Tensor] = []
        first_loop, first_layer = (0, 0) if after is None else (after.loop, after.layer + 1)
        for loop in range(first_loop, n_loops):
            time = self.time_embedder(loop / n_loops, h) + self.dt_embedder(1 / n_loops, h)
            for layer in range(first_layer if loop == first_loop else 0, len(blocks)):
                h = blocks[layer](h, shared, loop * len(blocks) + layer, time)
            states.append(h)
        return h, tuple(states)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of what the last block put out."""
        return self.lm_head(self.transformer.norm_f(state))


class LoopFormerLooped(LoopedModel):
    """LoopFormer: no blocks outside the loop; a site is the loop-th call of its block.

    Loop r of N knows both numbers, so that a read-out after a loop is not what a model of so many loops would say.
    """

    about = About(
        name="LoopFormer",
        loops="the whole stack as a step of 1/N, told its time and its length",
        source="arXiv 2602.11451",
        verified=equal_to_published("November 2026", 9.5e-7, "armenjeddi/loopformer 706c125"),
    )
    model_class = LoopFormerForCausalLM
    required = ("n_head",)
    renamed: ClassVar = {r"^((gpt|model|module)\.)+": ""}  # as the published reader does

    def __init__(self, name: str, model: LoopFormerForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.n_embd
        self.blocks = tuple(model.transformer.h.blocks)

    @staticmethod
    def counts(config: LoopFormerConfig) -> tuple[int, int]:
        """Return the loops as trained and the layers, from a config alone."""
        return config.max_model_loops, config.n_layer

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Return the logits `(..., vocabulary)` of what a loop's last block put out, `(..., d_model)`."""
        logits: Tensor = self.model.head(state)
        return logits

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any]:
        """Return the forward arguments that go on behind a site."""
        return {"inputs_embeds": states[site], "after": site}

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site, the heads of keys and values, and their size."""
        config = self.model.config
        return n_loops * self.n_layers, config.n_head, config.head_dim

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        names = ("max_model_loops", "n_layer", "n_head", "frequency_embedding_size")
        return {"model_type": config.model_type, **{name: getattr(config, name) for name in names}}


def _normed(h: Tensor) -> Tensor:
    return rms_normed(h, torch.finfo(h.dtype).eps)
