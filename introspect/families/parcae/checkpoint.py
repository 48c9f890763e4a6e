"""The weights of a Parcae checkpoint that is saved as `model.pt`, a name that transformers does not look for.

Goes in: a folder, or a hub id and its revision. Come out: tensors, or None if there is a file that transformers reads.
"""

import torch
from torch import Tensor
from transformers.utils.hub import cached_file

from introspect.errors import InputError

_FILE = "model.pt"
_FIRST = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Files that are read before it, as in the published loader."""


def state_of(source: str, revision: str) -> dict[str, Tensor] | None:
    """Return the tensors of `model.pt` by their names; InputError unless it holds tensors by name and nothing else."""
    if any(_found(source, each, revision) for each in _FIRST):
        return None
    file = _found(source, _FILE, revision)
    if file is None:
        return None  # transformers says what it looked for
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of its own, of zip files and of unpickling
        raise InputError(f"{source}: {_FILE} cannot be read as tensors alone") from error
    if not (isinstance(state, dict) and state and all(isinstance(each, Tensor) for each in state.values())):
        raise InputError(f"{source}: {_FILE} holds no tensors by name, which a state dict is")
    return state


def _found(source: str, file: str, revision: str) -> str | None:
    quietly = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    found: str | None = cached_file(source, file, revision=revision, **quietly)
    return found
