"""The blocks of CoTFormers and block universal transformers, whose attention may remember earlier repeats.

Goes in: the residual stream `(batch, position, d_model)`, and the keys and values that each attention has put out in
the repeats of this forward. Comes out: the stream after the block.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from introspect.families.cotformer.config import CotformerConfig
from introspect.families.parts.layers import Attention, PlainMLP, Shared
from introspect.models.row_attention import Part, side_by_side

EPS = 1e-5
"""Of all norms."""


@dataclass(frozen=True)
class Repeats(Shared):
    """What all blocks of one forward share, and the keys and values of each attention's repeats so far."""

    seen: dict[nn.Module, list[tuple[Any, Any]]] = field(default_factory=dict)
    """Any: tensors, or what a cache of rows gives in their place."""


class CotformerAttention(Attention):
    """Attention over all repeats so far, or over the last one; pairs of neighbouring numbers are turned."""

    def __init__(self, config: CotformerConfig) -> None:
        super().__init__(config, config.n_head, config.n_head, config.head_dim)
        size, self.all_repeats = config.n_embd, config.architecture == "cotformer"
        if not self.all_repeats:
            self.q_attn = nn.Linear(size, size, bias=config.bias)
        self.c_attn = nn.Linear(size, (3 if self.all_repeats else 2) * size, bias=config.bias)
        self.c_proj = nn.Linear(size, size, bias=config.bias)

    def forward(self, h: Tensor, shared: Repeats, slot: int) -> Tensor:
        """Attend; `h` is `(batch, position, d_model)`."""
        read = self.c_attn(h) if self.all_repeats else torch.cat([self.q_attn(h), self.c_attn(h)], dim=-1)
        q, k, v = (self.heads(part) for part in read.chunk(3, dim=-1))
        assert shared.angles is not None, "rotary attention without angles"
        q, k = (_turned(x, *shared.angles) for x in (q, k))
        if shared.cache is not None:
            k, v = shared.cache.update(k, v, slot)
        seen = shared.seen.setdefault(self, [])
        seen[:] = [*seen, (k, v)] if self.all_repeats else [(k, v)]
        mask = shared.mask if isinstance(k, Part) else again(shared.mask, q, k, len(seen))
        keys, values = (side_by_side(parts) for parts in zip(*seen, strict=True))
        return self.c_proj(self.attend(q, keys, values, replace(shared, mask=mask, cache=None), slot))


class CotformerBlock(nn.Module):
    """One block, with a norm before both parts."""

    def __init__(self, config: CotformerConfig) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(config.n_embd, eps=EPS, bias=config.bias) for _ in range(2))
        self.attn, self.mlp = CotformerAttention(config), PlainMLP(config.n_embd, 4 * config.n_embd, bias=config.bias)

    def forward(self, h: Tensor, shared: Repeats, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = h + self.attn(self.ln_1(h), shared, slot)
        return h + self.mlp(self.ln_2(h))


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of neighbours by its angle."""
    half = x.shape[-1] // 2
    cos, sin = cos[..., :half], sin[..., :half]
    first, second = x[..., ::2], x[..., 1::2]
    return torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1).flatten(-2)


def again(mask: Tensor | None, q: Tensor, k: Tensor, times: int) -> Tensor | None:
    """Return the mask over so many repeats of the same columns."""
    if times == 1 or (mask is None and q.shape[2] == 1):
        return mask
    if mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril(k.shape[2] - q.shape[2])[
            None, None
        ]
    return mask.repeat(1, 1, 1, times)
