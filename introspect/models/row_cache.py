"""Keys and values of many rows that begin alike: the beginning is kept once, and each row has columns of its own.

Goes in: the keys and values of the shared beginning, the rows and columns to make room for. Comes out: a cache for a
forward over some of the rows, whose attention reads the beginning once for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache
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


class RowCache(Cache):
    """A cache in which rows may be of unequal length; nothing is ever copied to make it grow.

    Args:
        keys: of the beginning, `(slots, kv_heads, columns, head_dim)`; slots are numbered as the sites run.
        values: the same.
        rows: rows to make room for.
        columns: columns of its own that a row may fill.
        both_ways: the columns that a row fills first, those of a prompt, see one another in both directions.
        apart: each slot has memory of its own; a compiler would else copy all slots in order to write into one.
    """

    def __init__(
        self, keys: Tensor, values: Tensor, rows: int, columns: int, *, both_ways: bool = False, apart: bool = False
    ) -> None:
        super().__init__(layers=[])
        self.both_ways = both_ways
        self.shared = keys, values
        slots, heads, _, size = keys.shape
        shape = rows, heads, columns, size
        of_slots = [
            tuple(keys.new_zeros(shape) for _ in range(slots)) if apart else keys.new_zeros(slots, *shape)
            for _ in range(2)
        ]
        self.own: tuple[Any, ...] = tuple(of_slots)
        """Keys and values of the own columns, by slot: one tensor `(slots, rows, kv_heads, columns, head_dim)`, or with
        `apart` a tensor for each slot."""
        self.aim(0, [0], 1)

    @property
    def rows(self) -> int:
        """Return how many rows there is room for."""
        rows: int = self.own[0][0].shape[0]
        return rows

    def aim(self, first: int, filled: Sequence[int], new: int) -> None:
        """Say what the next forward runs: rows from `first` on, what each has filled, and the new columns of each."""
        device = self.shared[0].device
        self._rows, self._filled, self._new = slice(first, first + len(filled)), filled, new
        self._until = max(filled) + new
        self._even = min(filled) == max(filled)
        column, last = torch.arange(self._until, device=device), torch.tensor(filled, device=device)
        self._index = torch.arange(first, first + len(filled), device=device), last
        if self._even:
            seen = filled[0] + torch.arange(new, device=device)
            self._asking = seen[None]
            all_seen = new == 1 or (self.both_ways and filled[0] == 0)
            self._hidden = None if all_seen else (column > seen[:, None])[None, None, None]
        else:
            self._asking = last[:, None]
            self._hidden = (column > last[:, None])[:, None, None, None]

    def aim_at(self, filled: Tensor) -> None:
        """Aim at one new column of every row, given on the device what each has filled, `(row,)`.

        Nothing of it hangs on a number that the host knows, shapes included: every step does the same. All own columns
        are read, of which those out of sight weigh nothing.
        """
        rows, _, columns, _ = self.own[0][0].shape
        self._rows, self._filled, self._new = slice(0, rows), [columns - 1], 1
        self._until, self._even = columns, False
        self._index = torch.arange(rows, device=filled.device), filled
        self._asking = filled[:, None]
        self._hidden = (torch.arange(columns, device=filled.device) > filled[:, None])[:, None, None, None]

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        """Keep the new columns of a slot and give keys and values as Parts."""
        parts = []
        for shared, own, new in zip(self.shared, self.own, (key_states, value_states), strict=True):
            if self._even:
                own[layer_idx][self._rows, :, self._filled[0] : self._until] = new
            else:
                rows, columns = self._index
                own[layer_idx][rows, :, columns] = new[:, :, 0]
            seen = own[layer_idx][self._rows, :, : self._until]
            parts.append(Part(shared[layer_idx], seen, self._asking, self._hidden))
        return tuple(parts)

    def columns(self) -> Iterator[int]:
        """Aim at each of the new columns alone, in turn, and at the end at all of them again; give their numbers.

        For models that run a token through all loops before the next one begins. One alone is aimed at already.
        """
        if self._new == 1:
            yield 0
            return
        first, filled, new = self._rows.start, list(self._filled), self._new
        for column in range(new):
            self.aim(first, [seen + column for seen in filled], 1)
            yield column
        self.aim(first, filled, new)

    def held(self, slot: int, *, before: bool) -> tuple[Part, Part]:
        """Return the keys and values that a slot holds as Parts, of one new column, or of the columns `before` it."""
        until, hidden = self._until, self._hidden
        if before and self._even:
            until -= 1
        elif before:
            column, last = torch.arange(until, device=self.shared[0].device), self._index[1]
            hidden = (column >= last[:, None])[:, None, None, None]
        keys, values = (
            Part(shared[slot], own[slot][self._rows, :, :until], self._asking, hidden)
            for shared, own in zip(self.shared, self.own, strict=True)
        )
        return keys, values

    def begin_like(self, other: "RowCache", slots: int, columns: int) -> None:
        """Fill the first slots of the rows that were aimed at with what the one row of `other` holds there.

        The columns behind are cleared: a column out of sight still counts when it holds what is not finite.
        """
        for block, first, others in self._blocks(other):
            begun = others[first : min(first + len(block), slots), :1, :, :columns]
            block[: len(begun), self._rows, :, :columns] = begun
            block[:, self._rows, :, columns:] = 0

    def take(self, other: "RowCache", rows: Sequence[int], columns: int) -> None:
        """Fill the rows that were aimed at with the first columns of these rows of `other`, all slots of them."""
        source = torch.tensor(rows, device=self.shared[0].device)
        for block, first, others in self._blocks(other):
            block[:, self._rows, :, :columns] = others[first : first + len(block), source, :, :columns]

    def move(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Copy whole rows to where other rows were."""
        if sources:
            source, target = (torch.tensor(rows, device=self.shared[0].device) for rows in (sources, targets))
            for block, _, _ in self._blocks(self):
                block[:, target] = block[:, source]

    def _blocks(self, other: "RowCache") -> Iterator[tuple[Tensor, int, Tensor]]:
        """Yield the slots that lie together, `(slots, rows, ...)`, the first one's number, and all of `other`."""
        for mine, others in zip(self.own, other.own, strict=True):
            if isinstance(mine, Tensor):
                yield mine, 0, others
            else:
                yield from ((own[None], slot, others) for slot, own in enumerate(mine))

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 (the same for all slots)
        """Return the columns of the longest row that is aimed at, the beginning included."""
        return self.shared[0].shape[2] + self._until - self._new

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """Return the same, under the name by which masks ask for it."""
        return self.get_seq_length(layer_idx)

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Return the sizes of the mask that `attend` does not need."""
        return self.get_seq_length(layer_idx) + query_length, 0


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
