"""Files beside a model's own weights that change what it computes: a folder that has some is never read without them.

Goes in: a folder, or a hub id and its revision. Comes out: nothing, or one line that names the file.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from transformers.utils.hub import cached_file

from introspect.errors import InputError

MARKS = ("adapter_config.json", "tah_config.json")
"""Files that a hub repository has if its weights are not all of the model."""
TENSORS = re.compile(r".*\.(safetensors|bin|pt|pth|ckpt|npz)")
_OWN = re.compile(r"(model|pytorch_model)([.-].*)?\.(safetensors|bin|pt)")
"""A model's own weights: whole, in shards, or in another number format."""
ELSE = re.compile(r"consolidated.*|(training_args|optimizer|scheduler|scaler|rng_state|tokenizer).*")
"""The same weights in another layout, and what training goes on with."""
FOLDERS = re.compile(r"checkpoint-\d+|original|onnx|openvino|runs|logs|coreml|gguf|\..*|__pycache__")
"""Folders of other formats of the same weights and of training; nothing is read in them."""


def check_files(source: str, revision: str, read: frozenset[str], name: str) -> None:
    """Raise InputError for a file or folder beside the model's own which nothing here reads.

    Args:
        source: a folder or a hub id.
        revision: branch, tag or commit of a hub id.
        read: names in the folder that the family reads.
        name: what the user calls the model.
    """
    for file in _strangers(Path(source)) if Path(source).is_dir() else _marks(source, revision):
        if file.split("/")[0] not in read:
            raise InputError(
                f"model {name!r}: {file} beside its weights would change what it computes and is not read here; "
                f"merge it into the weights, or move it away to run the model without it"
            )


def _strangers(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not FOLDERS.fullmatch(path.name):
            yield from (f"{path.name}/{file.name}" for file in sorted(path.iterdir()) if _changes(file.name, False))
        elif path.is_file() and _changes(path.name, True):
            yield path.name


def _changes(file: str, own: bool) -> bool:
    """Say whether a file may change what is computed; the model's own weights are, in its own folder, none of these."""
    if file in MARKS:
        return True
    return bool(TENSORS.fullmatch(file)) and not ELSE.fullmatch(file) and not (own and _OWN.fullmatch(file))


def _marks(source: str, revision: str) -> Iterator[str]:
    quietly = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    for file in MARKS:
        if cached_file(source, file, revision=revision, _raise_exceptions_for_gated_repo=False, **quietly) is not None:
            yield file
