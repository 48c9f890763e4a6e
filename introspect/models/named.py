"""Where a model or a tokenizer is, by its name: an organism, a folder, a GGUF file or a hub id. Imports no torch.

Goes in: what the user wrote. Comes out: the path or id to load from; what is there and cannot be a model is refused.
"""

from importlib.util import find_spec
from pathlib import Path

from introspect.errors import InputError
from introspect.models.organisms import PREFIX, organism_folder

_SUFFIX, MAGIC, _TOKENIZER = ".gguf", b"GGUF", "tokenizer.json"
PACKAGES = ("gguf", "accelerate")
"""What transformers reads GGUF files with."""


def place_of(name: str, revision: str | None) -> str:
    """Return the folder, file or hub id that a name stands for. Raises InputError for a name that stands for none."""
    if name.startswith(PREFIX):
        folder = organism_folder(name.removeprefix(PREFIX))
    elif Path(name).is_dir():
        folder = Path(name)
    elif is_gguf(name):
        return _gguf_file(name, revision)
    elif name.count("/") > 1 or name.startswith((".", "~", "/")) or Path(name).exists():
        raise InputError(f"model {name!r}: there is no such folder")
    else:
        return name
    if revision is not None:
        raise InputError(f"revision {revision!r}: only a hub id has revisions, {name!r} is a folder")
    if not (folder / "config.json").is_file():
        raise InputError(f"model {name!r}: the folder holds no config.json, so it is not a model")
    return str(folder)


def tokenizer_place(name: str) -> str:
    """Return the folder, GGUF file or hub id that holds a tokenizer. Raises InputError for a name of none."""
    if name.startswith(PREFIX):
        return str(organism_folder(name.removeprefix(PREFIX)))
    path = Path(name)
    if path.is_dir():
        if not (path / _TOKENIZER).is_file():
            raise InputError(f"tokenizer {name!r}: the folder holds no {_TOKENIZER}")
        return name
    if is_gguf(name):
        return _gguf_file(name, None, "tokenizer")
    if path.is_file():
        raise InputError(f"tokenizer {name!r} is a file; name its folder, a hub id or a GGUF file")
    if not name or name.count("/") > 1 or name.startswith((".", "~", "/")):
        raise InputError(f"tokenizer {name!r}: there is no such folder")
    return name


def is_gguf(name: str) -> bool:
    """Say whether a name is that of a GGUF file: by its ending, or by how the file begins."""
    path = Path(name)
    return not path.is_dir() and (path.suffix == _SUFFIX or _begins_as_gguf(path))


def _gguf_file(name: str, revision: str | None, what: str = "model") -> str:
    if revision is not None:
        raise InputError(f"revision {revision!r}: only a hub id has revisions, {name!r} is a file")
    if not Path(name).is_file():
        raise InputError(f"{what} {name!r}: there is no such file")
    if not _begins_as_gguf(Path(name)):
        raise InputError(f"{what} {name!r} is no GGUF file: it does not begin with {MAGIC.decode()}")
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        why = f"GGUF files are read with the package {missing[0]}"
        raise InputError(f'{what} {name!r}: {why}; pip install "introspect-loops[gguf]"')
    return name


def _begins_as_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
