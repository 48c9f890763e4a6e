"""CUDA graphs that are not there: what is captured is done again in place, with no Python of ours.

As on a card, a graph keeps the very tensors that it was captured with: a replay reads what is in them now, and writes
its results where the first ones stand. What the host would have to wait for, or bring along, cannot be captured.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerator import SYNCHRONOUS
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CANNOT = {*SYNCHRONOUS, torch.ops.aten.lift_fresh.default}
"""Operations that a capture does not permit: they wait for the card, or bring numbers of Python's to it."""


class CaptureError(RuntimeError):
    """An operation that is not permitted while a stream is capturing."""


class PretendedGraph(TorchDispatchMode):
    """Keeps all operations of a capture, and does them again."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []
        self.replays = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in CANNOT:
            raise CaptureError(f"{func}: not permitted while a stream is capturing")
        made = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, _tensors(made)))
        return made

    def replay(self) -> None:
        """Do all operations again, and write what they make over what they made."""
        self.replays += 1
        for func, args, kwargs, before in self.operations:
            for now, then in zip(_tensors(func(*args, **kwargs)), before, strict=True):
                if now.data_ptr() != then.data_ptr():  # it is neither a view nor written in place
                    then.copy_(now)


def pretend(monkeypatch: pytest.MonkeyPatch) -> list[PretendedGraph]:
    """Let torch capture graphs on a processor, and return those that it captures."""
    graphs: list[PretendedGraph] = []

    def made() -> PretendedGraph:
        graphs.append(PretendedGraph())
        return graphs[-1]

    @contextmanager
    def capturing(graph: PretendedGraph) -> Iterator[None]:
        with monkeypatch.context() as within, graph:
            within.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)  # transformers asks
            yield

    stream = SimpleNamespace(wait_stream=lambda _: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", made)
    monkeypatch.setattr(torch.cuda, "graph", capturing)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: stream)
    for name in ("stream", "device"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    monkeypatch.setattr("introspect.injection.step.steps.check_engine", lambda *_: None)
    return graphs


def _tensors(made: Any) -> list[Tensor]:
    return [each for each in tree_leaves(made) if isinstance(each, Tensor)]
