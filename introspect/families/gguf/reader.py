"""transformers' reader of GGUF files, made quick: without this, a vocabulary of 262,144 words takes it minutes.

Goes in: nothing. Comes out: a context in which it passes over long lists, which are the vocabulary's and of which it
asks the length only, makes a model's table of names once and not for each of its parts, and shows no bar of its own.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from io import StringIO
from typing import Any

import gguf
from gguf.constants import GGUFValueType

LONG_LIST = 1000
"""Entries from which on a list is passed over; those that say something of a model have one a layer at most."""
_COUNTED = struct.Struct("<Q")


class QuickReader(gguf.GGUFReader):
    """The reader of the package gguf, but that every entry of a long list is its first one, or no text."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:  # Any: parts, as the package has them
        if raw_type != GGUFValueType.ARRAY or self.byte_order != "I":
            return super()._get_field_parts(orig_offs, raw_type)
        kind, start = GGUFValueType(int(self._get(orig_offs, "u4")[0])), orig_offs + 12
        (count,) = _COUNTED.unpack_from(self._bytes(), orig_offs + 4)
        if count < LONG_LIST or not (kind == GGUFValueType.STRING or kind in self.gguf_scalar_to_np):
            return super()._get_field_parts(orig_offs, raw_type)
        if kind == GGUFValueType.STRING:
            end, entry = self._behind_texts(start, count), self.data[:0]
        else:
            entry = self._get(start, self.gguf_scalar_to_np[kind])
            end = start + count * entry.itemsize
        if end > len(self.data):
            raise ValueError("it ends within a list")
        return end - orig_offs, [entry], [0] * count, [GGUFValueType.ARRAY, kind]

    def _behind_texts(self, position: int, count: int) -> int:
        """Return where so many texts end, of which each begins with its length."""
        held = self._bytes()
        for _ in range(count):
            position += _COUNTED.size + _COUNTED.unpack_from(held, position)[0]
        return position

    def _bytes(self) -> memoryview:
        data: Any = self.data  # Any: numpy's stubs do not say that an array is a buffer
        return memoryview(data)


@contextmanager
def quick_reader() -> Iterator[None]:
    """Make the reader quick and silent, and put everything back."""
    quick: dict[str, Any] = {"GGUFReader": QuickReader, "get_tensor_name_map": cache(gguf.get_tensor_name_map)}
    usual = {name: getattr(gguf, name) for name in quick}
    try:
        for name, what in quick.items():
            setattr(gguf, name, what)
        with redirect_stderr(StringIO()):
            yield
    finally:
        for name, what in usual.items():
            setattr(gguf, name, what)
