"""Keys and values of many rows that begin alike: the beginning is kept once, and each row has columns of its own.

Goes in: the keys and values of the shared beginning, the rows and columns to make room for. Comes out: a cache for a
forward over some of the rows, whose attention reads the beginning once for all of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from introspect.models.row_attention import Part


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
