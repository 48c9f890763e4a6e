"""The parts of Think-at-Hard: Qwen3 blocks with an adapter that can be on or off, and the decider.

Goes in: the residual stream `(batch, position, d_model)` and what an iteration has of its own. Comes out: the residual
stream after it.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from introspect.families.cotformer.blocks import again
from introspect.families.parts.layers import Attention, RMSNorm, Shared, rotate
from introspect.families.think_at_hard.config import TahConfig
from introspect.models.row_attention import Part, side_by_side

OUT_OF_SIGHT = -30_000.0
"""What the score of a token gains that an iteration has not run: its weight is then exactly zero."""


@dataclass(frozen=True)
class Iteration:
    """What one pass through the stack has of its own."""

    adapted: bool
    """Whether the adapter is on: from the second iteration on."""
    active: Tensor
    """Tokens that are run, `(batch, position, 1)`."""
    seen: dict[nn.Module, list[tuple[Any, Any]]] = field(default_factory=dict)
    """Keys and values of each attention in all iterations so far. Any: tensors, or what a cache of rows gives."""


class AdaptedLinear(nn.Linear):
    """A projection to which an adapter adds `alpha / rank * x A^T B^T` where it is on."""

    def __init__(self, config: TahConfig, name: str, d_in: int, d_out: int) -> None:
        super().__init__(d_in, d_out, bias=False)
        assert config.lora_targets is not None
        self.scale = config.lora_alpha / config.lora_rank if name in config.lora_targets else None
        if self.scale is not None:
            self.lora_A = nn.Parameter(torch.zeros(config.lora_rank, d_in))
            self.lora_B = nn.Parameter(torch.zeros(d_out, config.lora_rank))

    def forward(self, x: Tensor, *, adapted: bool = False) -> Tensor:
        """Project the last axis."""
        out = super().forward(x)
        if not adapted or self.scale is None:
            return out
        return out + nn.functional.linear(nn.functional.linear(x, self.lora_A), self.lora_B) * self.scale


class TahAttention(Attention):
    """Qwen3's attention over all iterations so far, each of the tokens that it has run.

    Keys have one number more than a head, which takes those out of sight that were not run, whatever cache they are in.
    """

    def __init__(self, config: TahConfig) -> None:
        super().__init__(config, config.num_attention_heads, config.num_key_value_heads, config.head_dim)
        wide, narrow = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
        self.q_proj = AdaptedLinear(config, "q_proj", config.hidden_size, wide)
        self.k_proj = AdaptedLinear(config, "k_proj", config.hidden_size, narrow)
        self.v_proj = AdaptedLinear(config, "v_proj", config.hidden_size, narrow)
        self.o_proj = AdaptedLinear(config, "o_proj", wide, config.hidden_size)
        self.q_norm, self.k_norm = (RMSNorm(config.head_dim, config.rms_norm_eps) for _ in range(2))

    def forward(self, h: Tensor, shared: Shared, slot: int, own: Iteration) -> Tensor:
        """Attend; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(p(h, adapted=own.adapted)) for p in (self.q_proj, self.k_proj, self.v_proj))
        assert shared.angles is not None, "rotary attention without angles"
        q, k = rotate(self.q_norm(q), *shared.angles), rotate(self.k_norm(k), *shared.angles)
        unseen = (~own.active).to(k.dtype)[:, None].expand(-1, k.shape[1], -1, -1) * OUT_OF_SIGHT
        q, k, v = (torch.cat(pair, dim=-1) for pair in ((q, torch.ones_like(q[..., :1])), (k, unseen), (v, 0 * unseen)))
        if shared.cache is not None:
            k, v = shared.cache.update(k, v, slot)
        seen = own.seen.setdefault(self, [])
        seen.append((k, v))
        mask = shared.mask if isinstance(k, Part) else again(shared.mask, q, k, len(seen))
        keys, values = (side_by_side(parts) for parts in zip(*seen, strict=True))
        mixed = self.attend(q, keys, values, Shared(shared.positions, shared.angles, mask, None), slot)
        return self.o_proj(mixed.unflatten(-1, (-1, self.head_dim + 1))[..., :-1].flatten(2), adapted=own.adapted)


class TahMLP(nn.Module):
    """The feed-forward part."""

    def __init__(self, config: TahConfig) -> None:
        super().__init__()
        size, wide = config.hidden_size, config.intermediate_size
        self.gate_proj = AdaptedLinear(config, "gate_proj", size, wide)
        self.up_proj = AdaptedLinear(config, "up_proj", size, wide)
        self.down_proj = AdaptedLinear(config, "down_proj", wide, size)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, h: Tensor, *, adapted: bool) -> Tensor:
        """Transform each position alone."""
        inner = self.activation(self.gate_proj(h, adapted=adapted)) * self.up_proj(h, adapted=adapted)
        return self.down_proj(inner, adapted=adapted)


class TahBlock(nn.Module):
    """One block; a token that is not run goes through as it is."""

    def __init__(self, config: TahConfig) -> None:
        super().__init__()
        self.self_attn, self.mlp = TahAttention(config), TahMLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, h: Tensor, shared: Shared, slot: int, own: Iteration) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        out = h + self.self_attn(self.input_layernorm(h), shared, slot, own)
        out = out + self.mlp(self.post_attention_layernorm(out), adapted=own.adapted)
        return torch.where(own.active, out, h)


class DeciderBlock(nn.Module):
    """A feed-forward part of the decider, with a norm before it."""

    def __init__(self, d_in: int, d_out: int, expansion: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(d_in)
        wide, narrow = nn.Linear(d_in, d_in * expansion), nn.Linear(d_in * expansion, d_out)
        self.mlp = nn.Sequential(wide, nn.GELU(), nn.Identity(), narrow)  # the third drops out in training
        self.dim_change = nn.Identity() if d_in == d_out else nn.Linear(d_in, d_out)

    def forward(self, x: Tensor) -> Tensor:
        """Transform the last axis."""
        return self.dim_change(x) + self.mlp(self.layer_norm(x))


class DeciderBackbone(nn.Module):
    """The decider's blocks."""

    def __init__(self, dims: list[int], expansion: int) -> None:
        super().__init__()
        ends = [*dims[1:], dims[-1]]
        self.input_projection = nn.Linear(dims[0], dims[0])
        self.blocks = nn.ModuleList([DeciderBlock(*pair, expansion) for pair in zip(dims, ends, strict=True)])
        self.output_layer = nn.Sequential(nn.LayerNorm(dims[-1]), nn.Linear(dims[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return one number, `(..., 1)`."""
        x = self.input_projection(x)
        for block in self.blocks:
            x = block(x)
        return self.output_layer(x)


class Decider(nn.Module):
    """Says of every token whether it is run again."""

    def __init__(self, config: TahConfig) -> None:
        super().__init__()
        assert config.decider_layers is not None
        assert config.decider_dims is not None
        size, read = config.hidden_size, len(config.decider_layers) * config.hidden_size
        self.n_logits = config.n_decided
        self.threshold = nn.Parameter(torch.tensor(0.5))
        self.layer_norm_hidden_states = nn.LayerNorm(read) if config.decider_normalizes else None
        self.logits_projection = nn.Linear(self.n_logits, size)
        self.combined_projection = nn.Linear(read + size, config.decider_dims[0])
        self.backbone = DeciderBackbone(config.decider_dims, config.decider_expansion)

    def forward(self, logits: Tensor, hidden: Tensor) -> Tensor:
        """Return `(batch, position, 1)`, from the logits and hidden states put together, `(batch, position, ...)`."""
        top = logits.topk(self.n_logits, dim=-1).values
        if self.layer_norm_hidden_states is not None:
            hidden, top = self.layer_norm_hidden_states(hidden), top.softmax(-1)
        combined = self.combined_projection(torch.cat([hidden, self.logits_projection(top)], dim=-1))
        return self.backbone(combined).sigmoid() > self.threshold
