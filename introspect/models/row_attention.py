"""Attention of many rows over a beginning that they share and over columns of their own.

Goes in: queries, and keys and values as Parts of a RowCache. Comes out: what `sdpa` of transformers gives, with the
beginning read once for all rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ATTENTION = "introspect_rows"
"""Name of `attend` among the attention functions of transformers."""

_WITHOUT_EFFECT = frozenset({"position_ids", "use_cache", "output_hidden_states", "return_dict"})
"""What models hand on to their attention though it changes nothing."""


@dataclass(frozen=True)
class Part:
    """What `attend` gets in place of keys, or of values."""

    shared: Tensor
    """The beginning, `(kv_heads, columns, head_dim)`."""
    own: Tensor
    """`(rows, kv_heads, columns, head_dim)`."""
    asking: Tensor
    """Own column of each query, `(rows or 1, position)`."""
    hidden: Tensor | None = None
    """Own columns out of sight, broadcast to `(rows, kv_heads, query_heads, position, columns)`; None: all are seen."""


def side_by_side(parts: Sequence[Any]) -> Any:
    """Put the columns of several slots side by side, tensors or Parts of the same rows and queries."""
    if isinstance(parts[0], Tensor):
        return torch.cat(tuple(parts), dim=2)
    shared, own = torch.cat([part.shared for part in parts], dim=1), torch.cat([part.own for part in parts], dim=2)
    hidden = None if parts[0].hidden is None else torch.cat([part.hidden for part in parts], dim=-1)
    return Part(shared, own, parts[0].asking, hidden)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Any,
    value: Any,
    mask: Tensor | None,
    *,
    scaling: float,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend over both Parts at once; with plain tensors, as `sdpa` does.

    `query` is `(rows, heads, position, head_dim)`, what comes out `(rows, position, heads, head_dim)`. A token sees
    the last `sliding_window` columns, its own among them. Raises ValueError for what would change the result and is
    not known here; plain tensors have all that is hidden in their mask.
    """
    _check(more)
    if isinstance(key, Tensor):
        return sdpa_attention_forward(module, query, key, value, mask, scaling=scaling, **more)
    rows, heads, new, size = query.shape
    groups, shared = key.own.shape[1], key.shared.shape[1]
    q = query.reshape(rows, groups, -1, size)
    begun = _together(q) @ key.shared.transpose(1, 2)
    own = q @ key.own.transpose(2, 3)
    if key.hidden is not None:
        own.view(rows, groups, -1, new, own.shape[-1]).masked_fill_(key.hidden, float("-inf"))
    scores = torch.cat((_apart(begun, rows), own), dim=-1).mul_(scaling)
    if sliding_window is not None and sliding_window < scores.shape[-1]:
        column = torch.arange(scores.shape[-1], device=scores.device)
        left = column <= (shared + key.asking - sliding_window)[..., None]
        scores.view(rows, groups, -1, new, scores.shape[-1]).masked_fill_(left[:, None, None], float("-inf"))
    wide = torch.promote_types(scores.dtype, torch.float32)
    weights = scores.softmax(-1, dtype=wide).to(query.dtype)
    out = weights[..., shared:] @ value.own + _apart(_together(weights[..., :shared]) @ value.shared, rows)
    return out.reshape(rows, heads, new, size).transpose(1, 2), None


def _check(more: dict[str, Any]) -> None:
    """Refuse the arguments of an attention that would change its result."""
    for name, value in more.items():
        off = value is None or value is False or (isinstance(value, int | float) and value == 0)
        if name not in _WITHOUT_EFFECT and (not off or (name, value) == ("is_causal", False)):
            raise ValueError(f"attention with {name}={value!r}: rows that share a beginning cannot be attended so")


def _together(x: Tensor) -> Tensor:
    """Lay `(rows, groups, n, size)` out as `(groups, rows * n, size)`, so that one product serves all rows."""
    rows, groups, each, size = x.shape
    return x.transpose(0, 1).reshape(groups, rows * each, size)


def _apart(x: Tensor, rows: int) -> Tensor:
    """Undo `_together`."""
    groups, together, size = x.shape
    return x.view(groups, rows, together // rows, size).transpose(0, 1)


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend)
ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, sdpa_mask)
