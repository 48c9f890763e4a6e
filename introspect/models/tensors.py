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
    """Refuse weights that are not finite; see that buffers which are in no file hold what the family computes."""
    saved = model.state_dict()
    for tensor_name, tensor in saved.items():
        if not tensor.isfinite().all():
            raise InputError(f"model {name!r}: weight {tensor_name} holds values that are not finite")
    unsaved = {buffer: tensor for buffer, tensor in model.named_buffers() if buffer not in saved}
    # from_pretrained may leave buffers that are not in the files as uninitialised memory
    assert not unsaved.keys() - computed.keys(), f"the family must compute {sorted(unsaved.keys() - computed.keys())}"
    for buffer, tensor in unsaved.items():
        assert torch.equal(tensor, computed[buffer].to(tensor)), f"buffer {buffer} is not what the config says"


def align(model: torch.nn.Module) -> None:
    """Move weights that lie askew in a mapped file: sums over them are taken in another order, and round otherwise."""
    for weight in model.parameters():
        if weight.data_ptr() % ALIGNMENT:
            weight.data = weight.data.clone()
