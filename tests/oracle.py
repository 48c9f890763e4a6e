"""The oracle of injections: plain torch forward hooks that count the calls of each block, and nothing else."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from introspect.models.looped import LoopedModel
from introspect.records import Site


@contextmanager
def hooked(looped: LoopedModel, visits: Mapping[Site, Callable[[Tensor], None]]) -> Iterator[None]:
    """Call each visit with the live output of its block, in the forwards run inside; every forward counts anew."""
    calls: dict[nn.Module, int] = {}

    def restart(*_: object) -> None:
        calls.clear()

    def visit(block: nn.Module, _: object, output: Tensor) -> None:
        loop = calls[block] = calls.get(block, -1) + 1
        function = visits.get(Site(loop, looped.blocks.index(block)))
        if function is not None:
            with torch.no_grad():
                function(output)

    handles = [looped.model.register_forward_pre_hook(restart)]
    handles += [block.register_forward_hook(visit) for block in looped.blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
