"""The blocks of PonderLM-2: GPT-NeoX's, whose attention sees all stages of the tokens before, and its own so far.

Goes in: one token's residual stream `(batch, 1, d_model)` and the stage at which it is. Comes out: the stream after the
block. The cache has a slot for every (stage, layer), with one column a token: what a token has to say is spread over
the slots of a layer, and a slot of a later stage has no column of the token itself yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from introspect.families.parts.layers import Shared
from introspect.families.parts.neox import NeoxAttention, NeoxBlock
from introspect.models.row_attention import side_by_side
from introspect.models.row_cache import RowCache


@dataclass(frozen=True)
class Token(Shared):
    """What all blocks share while one token runs through its stages."""

    slots: int = 0
    """Of the cache: stages times layers."""
    layers: int = 0

    def stages_of(self, slot: int) -> range:
        """Return the slots of all stages of the layer that this slot is of."""
        return range(slot % self.layers, self.slots, self.layers)


class TokenAttention(NeoxAttention):
    """Attention of one token at one stage."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, shared: Token, slot: int) -> Tensor:  # type: ignore[override]
        """Attend over every stage of the tokens before and this token's stages so far.

        `q`, `k` and `v` are `(batch, heads, 1, head_dim)`; comes out `(batch, 1, heads * head_dim)`.
        """
        assert shared.cache is not None, "what a token sees of the others is in the cache"
        new = shared.cache.update(k, v, slot)
        seen = [
            new if each == slot else held
            for each in shared.stages_of(slot)
            if (held := _held(shared.cache, each, before=each > slot)) is not None
        ]
        keys, values = (side_by_side(parts) for parts in zip(*seen, strict=True))
        mask = _mask(shared.mask, [part for part, _ in seen])
        return super().attend(q, keys, values, replace(shared, mask=mask, cache=None), slot)


class TokenBlock(NeoxBlock):
    """One block."""

    attention_class = TokenAttention


def tokens(shared: Shared, n_loops: int, n_layers: int) -> Iterator[tuple[slice, Token]]:
    """Yield for each new token its place in the text, as a slice, and what its blocks share.

    A cache of rows is aimed at one column after the other.
    """
    cache, positions = shared.cache, shared.positions
    assert cache is not None
    assert shared.angles is not None
    cos, sin = shared.angles
    new, seen = positions.shape[1], cache.get_seq_length()
    for column in cache.columns() if isinstance(cache, RowCache) else range(new):
        at = slice(column, column + 1)
        mask = None if shared.mask is None else shared.mask[:, :, at, : seen + column + 1]
        yield (
            at,
            Token(
                positions[:, at],
                (cos[:, :, at], sin[:, :, at]),
                mask,
                cache,
                seen + column + 1,
                n_loops * n_layers,
                n_layers,
            ),
        )


def _held(cache: Cache, slot: int, *, before: bool) -> tuple[Any, Any] | None:
    """Return the keys and values that a slot holds, `before` the new token or with it; None where it holds none."""
    if isinstance(cache, RowCache):
        return cache.held(slot, before=before)
    layers: list[Any] = cache.layers  # those that grow; of a later stage one has no column of the new token yet
    if slot >= len(layers) or not layers[slot].get_seq_length():
        return None
    return layers[slot].keys, layers[slot].values


def _mask(mask: Tensor | None, keys: list[Any]) -> Tensor | None:
    """Return the mask of one token over the columns of all slots, `(batch, 1, 1, column)`; Parts have their own."""
    if mask is None or not isinstance(keys[0], Tensor):
        return None
    return torch.cat([mask[..., : part.shape[2]] for part in keys], dim=-1)
