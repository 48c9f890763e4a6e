"""What weights and buffers must be before anything is computed with them, and where they must lie.

Goes in: a model that was just loaded. Comes out: the same model, or one line that says what is wrong with it.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers.initialization import no_init_weights

from introspect.errors import InputError

MOST_TIMES = 4
"""How many times as many weights a config may describe as the files hold: shared ones are in them once."""
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


def check_size(model_class: Any, config: Any, source: str, name: str) -> None:
    """Refuse a config that describes far more weights than the files hold, before any of them is given memory.

    The model is built without memory first. What is missing or of another shape is told after loading, by name; here
    it is only held that what may be made up meanwhile is small. Any: a model class and its config.
    """
    files = sorted(Path(source).glob("*.safetensors")) if Path(source).is_dir() else []
    held = sum(map(_elements, files))
    if not held:
        return
    with torch.device("meta"), no_init_weights():
        described = sum(weight.numel() for weight in from_config(model_class, config).parameters())
    if described > MOST_TIMES * held:
        raise InputError(
            f"model {name!r}: its config.json describes {described:.2g} weights, its files hold {held:.2g}; "
            "one of the two is of another model"
        )


def from_config(model_class: Any, config: Any) -> torch.nn.Module:
    """Build a model as its class says, where a class finds one by its type as well as where it is one."""
    build = getattr(model_class, "from_config", None) or model_class
    model: torch.nn.Module = build(config)
    return model


def _elements(path: Path) -> int:
    """Count the numbers in a file of weights, by its header alone."""
    with safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118


def align(model: torch.nn.Module) -> None:
    """Move weights that lie askew in a mapped file: sums over them are taken in another order, and round otherwise."""
    for weight in model.parameters():
        if weight.data_ptr() % ALIGNMENT:
            weight.data = weight.data.clone()
