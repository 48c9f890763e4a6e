"""What weights and buffers must be before anything is computed with them, and where they must lie.

Goes in: a model that was just loaded. Comes out: the same model, or one line that says what is wrong with it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from introspect.errors import InputError

ALIGNMENT = 64
"""Bytes to which torch aligns what it allocates."""


def check_tensors(model: torch.nn.Module, computed: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that are not finite, and buffers in no file that do not hold what the family computes anew."""
    saved = model.state_dict()
    for tensor_name, tensor in saved.items():
        if not tensor.isfinite().all():
            raise InputError(f"model {name!r}: weight {tensor_name} holds values that are not finite")
    unsaved = {buffer: tensor for buffer, tensor in model.named_buffers() if buffer not in saved}
    # from_pretrained may leave buffers that are not in the files as uninitialised memory
    for buffer, tensor in unsaved.items():
        if buffer not in computed:
            raise InputError(f"model {name!r}: buffer {buffer} is in no file and cannot be computed anew")
        if not torch.equal(tensor, computed[buffer].to(tensor)):
            raise InputError(f"model {name!r}: buffer {buffer} is not what the config says")


def align(model: torch.nn.Module) -> None:
    """Move weights that lie askew in a mapped file: sums over them are taken in another order, and round otherwise."""
    for weight in model.parameters():
        if weight.data_ptr() % ALIGNMENT:
            weight.data = weight.data.clone()
