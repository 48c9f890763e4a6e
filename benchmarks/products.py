"""The matrix products of a run and nothing else: how long they take alone is what no engine can go below.

Goes in: a model and a function. Come out: its products, to be run again with the same weights and with inputs of the
same shapes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
PLACES = {aten.mm.default: (0, 1), aten.addmm.default: (1, 2), aten.bmm.default: (0, 1), aten.baddbmm.default: (1, 2)}
"""Where among its arguments a product has its factors."""


@dataclass(frozen=True)
class Products:
    """Products in the order in which they were run."""

    pairs: list[tuple[Tensor, Tensor]]

    @torch.inference_mode()
    def run(self) -> None:
        """Run them all."""
        for left, right in self.pairs:
            left @ right


class _Recording(TorchDispatchMode):
    """Takes down the factors: weights as they are, all else by its shape."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self._like: dict[object, Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with self:  # in inference mode a linear layer arrives whole: what it consists of is what counts
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        if func in PLACES:
            left, right = (args[place] for place in PLACES[func])
            weight = right.untyped_storage().data_ptr() in self._weights
            self.pairs.append((self._made(left), right if weight else self._made(right)))
        return func(*args, **(kwargs or {}))

    def _made(self, tensor: Tensor) -> Tensor:
        """Make a tensor of the same shape and layout, one for all that are alike."""
        key = tuple(tensor.shape), tensor.stride(), tensor.dtype
        if key not in self._like:
            made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
            self._like[key] = made.fill_(0.5)
        return self._like[key]


def recorded(model: nn.Module, run: Callable[[], object]) -> Products:
    """Run a function and take down its products, those with weights of the model among them."""
    with _Recording(model) as recording:
        run()
    return Products(recording.pairs)
