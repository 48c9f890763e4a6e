"""A copy of a model that shares its weights and has nothing wrapped around it: no trace looks at what it does.

Goes in: a model, wrapped or not. Comes out: modules of their own, whose parameters and buffers are those of the model.
"""

import copy
from typing import Any

from nnsight.intervention.source import STATE, Controller
from torch import nn


def bare_copy(model: Any) -> Any:  # Any: the family knows the model's parts
    """Copy the modules of a model and none of its tensors; what nnsight has put around them is left out."""
    kept: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    for module in model.modules():
        for wrapping in _wrapping(module):
            kept[id(module.__dict__[wrapping])] = None
    copied = copy.deepcopy(model, kept)
    for module in copied.modules():
        for name in ("forward", STATE):
            if name in module.__dict__ and module.__dict__[name] is None:
                del module.__dict__[name]
    return copied


def _wrapping(module: nn.Module) -> list[str]:
    """List the names under which a module holds what nnsight has put around it."""
    wrapped = isinstance(module.__dict__.get("forward"), Controller)
    return [name for name in ("forward", STATE) if wrapped and name in module.__dict__]
