"""The parts that looped models are made of: norm, rotary angles, attention over one slot of a cache, gated MLP.

Goes in: the residual stream `(batch, position, d_model)` and what all blocks of one forward share. Comes out: tensors.
Nothing here is kept in a buffer, which could come back uninitialised from `from_pretrained`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


@dataclass(frozen=True)
class Shared:
    """What all blocks of one forward share."""

    positions: Tensor
    """`(batch or 1, position)`, counted from each row's first real token."""
    angles: tuple[Tensor, Tensor] | None
    """Cosines and sines of the rotary angles, `(batch or 1, 1, position, head_dim)` each."""
    mask: Tensor | None
    cache: Cache | None
    columns: int = 0
    """Of the text so far, padding included. No position is larger, and it is known without asking the device."""


class RMSNorm(nn.Module):
    """Scale to unit root mean square, in float32 or better, then by a learned gain."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, h: Tensor) -> Tensor:
        """Norm the last axis."""
        return self.weight * rms_normed(h, self.eps)


class GatedMLP(nn.Module):
    """The feed-forward part of Llama's layout, under its weight names."""

    def __init__(self, d_model: int, d_mlp: int, activation: str, *, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(d_model, d_mlp, bias=bias)
        self.up_proj = nn.Linear(d_model, d_mlp, bias=bias)
        self.down_proj = nn.Linear(d_mlp, d_model, bias=bias)
        self.activation = ACT2FN[activation]

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.down_proj(self.activation(self.gate_proj(h)) * self.up_proj(h))


class PlainMLP(nn.Module):
    """The feed-forward part of GPT-2's layout, with the exact GELU, under its weight names."""

    def __init__(self, d_model: int, d_mlp: int, *, bias: bool) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(d_model, d_mlp, bias=bias), nn.Linear(d_mlp, d_model, bias=bias)

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.c_proj(nn.functional.gelu(self.c_fc(h)))


class Attention(nn.Module):
    """What causal self-attention needs beside its weights: heads, their size, and how they attend."""

    def __init__(self, config: Any, n_heads: int, n_kv_heads: int, head_dim: int) -> None:
        super().__init__()
        self.config, self.head_dim = config, head_dim  # Any: a config of some family
        self.num_key_value_groups = n_heads // n_kv_heads
        self.scaling = head_dim**-0.5
        self.is_causal = True

    def heads(self, x: Tensor) -> Tensor:
        """Split `(batch, position, heads * head_dim)` into `(batch, heads, position, head_dim)`."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what a slot of the cache has seen, heads put together: `(batch, position, heads * head_dim)`.

        `q`, `k` and `v` are `(batch, heads, position, head_dim)`, turned by their angles.
        """
        if shared.cache is not None:
            k, v = shared.cache.update(k, v, slot)
        function = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager)
        dropout = getattr(self.config, "attention_dropout", 0.0) if self.training else 0.0
        out, _ = function(self, q, k, v, shared.mask, dropout=dropout, scaling=self.scaling)
        return out.flatten(2)


class LlamaAttention(Attention):
    """Attention of Llama's layout, under its weight names."""

    def __init__(self, config: Any, *, bias: bool = False) -> None:
        super().__init__(config, config.num_attention_heads, config.num_key_value_heads, config.head_dim)
        wide, narrow = config.num_attention_heads * self.head_dim, config.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, wide, bias=bias)
        self.k_proj = nn.Linear(config.hidden_size, narrow, bias=bias)
        self.v_proj = nn.Linear(config.hidden_size, narrow, bias=bias)
        self.o_proj = nn.Linear(wide, config.hidden_size, bias=bias)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(project(h)) for project in (self.q_proj, self.k_proj, self.v_proj))
        assert shared.angles is not None, "rotary attention without angles"
        return self.o_proj(self.attend(rotate(q, *shared.angles), rotate(k, *shared.angles), v, shared, slot))


def rms_normed(h: Tensor, eps: float) -> Tensor:
    """Scale the last axis to unit root mean square, in float32 or better."""
    return nn.functional.rms_norm(h.to(at_least_float32(h.dtype)), (h.shape[-1],), eps=eps).to(h.dtype)


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Return the format for what must not be rounded to half precision; float64 stays float64."""
    return torch.promote_types(dtype, torch.float32)


def rotary_angles(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the rotary angles, each `(batch, 1, position, head_dim)`, both halves alike."""
    exact = at_least_float32(dtype)
    steps = torch.arange(0, head_dim, 2, device=positions.device, dtype=exact)
    angles = (positions[..., None].to(exact) * theta ** (-steps / head_dim)).repeat(1, 1, 2)[:, None]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of the last axis by its angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def positions_of(h: Tensor, attention_mask: Tensor | None, seen: int) -> Tensor:
    """Count the positions of each row from its first real token, so that padding on the left moves nothing."""
    if attention_mask is None:
        return torch.arange(seen, seen + h.shape[1], device=h.device)[None]
    expected = (h.shape[0], seen + h.shape[1])
    if tuple(attention_mask.shape) != expected:
        raise ValueError(f"attention_mask {tuple(attention_mask.shape)}: must cover cached and new tokens, {expected}")
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -h.shape[1] :]


def eager(
    module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Attend step by step; gives also the weights `(batch, heads, position, position)`."""
    k, v = (x.repeat_interleave(module.num_key_value_groups, dim=1) for x in (k, v))
    scores = q @ k.transpose(2, 3) * scaling
    weights = (scores if mask is None else scores + mask).softmax(-1, dtype=at_least_float32(q.dtype)).to(q.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ v).transpose(1, 2).contiguous(), weights
