"""The parts of the Ouro layout: norm, attention, feed-forward and the block that is run once a loop.

Goes in: the residual stream `(batch, position, d_model)`, the loop's number, rotary angles, a mask, a cache. Comes
out: the residual stream after the part, as a tensor. Weight names are those of the published checkpoints.
"""

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from introspect.models.ouro_config import OuroConfig


class OuroNorm(nn.Module):
    """Scale to unit root mean square, in float32 or better, then by a learned gain."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, h: Tensor) -> Tensor:
        """Norm the last axis."""
        normed = nn.functional.rms_norm(h.to(at_least_float32(h.dtype)), (h.shape[-1],), eps=self.eps)
        return self.weight * normed.to(h.dtype)


class OuroAttention(nn.Module):
    """Causal self-attention; the cache has one slot for each (loop, layer)."""

    def __init__(self, config: OuroConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        self.head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        self.num_key_value_groups = config.num_attention_heads // (config.num_key_value_heads or 1)
        self.scaling = self.head_dim**-0.5
        self.is_causal = True
        wide, narrow = config.num_attention_heads * self.head_dim, (config.num_key_value_heads or 1) * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, wide, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, narrow, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, narrow, bias=False)
        self.o_proj = nn.Linear(wide, config.hidden_size, bias=False)

    def forward(
        self, h: Tensor, loop: int, angles: tuple[Tensor, Tensor], mask: Tensor | None, cache: Cache | None
    ) -> Tensor:
        """Attend over what this (loop, layer) has seen; `h` is `(batch, position, d_model)`."""
        shape = (*h.shape[:-1], -1, self.head_dim)
        q, k, v = (proj(h).view(shape).transpose(1, 2) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k = _rotate(q, *angles), _rotate(k, *angles)
        if cache is not None:
            k, v = cache.update(k, v, loop * self.config.num_hidden_layers + self.layer)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, _eager)
        dropout = self.config.attention_dropout if self.training else 0.0
        out, _ = attend(self, q, k, v, mask, dropout=dropout, scaling=self.scaling)
        return self.o_proj(out.reshape(*h.shape[:-1], -1))


class OuroMLP(nn.Module):
    """The gated feed-forward part."""

    def __init__(self, config: OuroConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.down_proj(self.activation(self.gate_proj(h)) * self.up_proj(h))


class OuroBlock(nn.Module):
    """One block: both parts have a norm before them and one on what they add."""

    def __init__(self, config: OuroConfig, layer: int) -> None:
        super().__init__()
        self.self_attn = OuroAttention(config, layer)
        self.mlp = OuroMLP(config)
        self.input_layernorm = OuroNorm(config.hidden_size, config.rms_norm_eps)
        self.input_layernorm_2 = OuroNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = OuroNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm_2 = OuroNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, h: Tensor, loop: int, angles: tuple[Tensor, Tensor], mask: Tensor | None, cache: Cache | None
    ) -> Tensor:
        """Give the residual stream after the block, `(batch, position, d_model)`."""
        h = h + self.input_layernorm_2(self.self_attn(self.input_layernorm(h), loop, angles, mask, cache))
        return h + self.post_attention_layernorm_2(self.mlp(self.post_attention_layernorm(h)))


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Give the format for what must not be rounded to half precision; float64 stays float64."""
    return torch.promote_types(dtype, torch.float32)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def _eager(
    module: OuroAttention, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    k, v = (x.repeat_interleave(module.num_key_value_groups, dim=1) for x in (k, v))
    scores = q @ k.transpose(2, 3) * scaling
    weights = (scores if mask is None else scores + mask).softmax(-1, dtype=at_least_float32(q.dtype)).to(q.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ v).transpose(1, 2).contiguous(), weights
