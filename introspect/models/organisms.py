"""The organisms that ship with the package: their names and folders. Imports neither torch nor transformers."""

from importlib.resources import files
from pathlib import Path

from introspect.errors import unknown

PREFIX = "organism:"


def organisms() -> list[str]:
    """List the names of the shipped organisms, without the prefix."""
    return sorted(path.parent.name for path in _home().glob("*/config.json"))


def organism_folder(name: str) -> Path:
    """Return the folder of `organism:NAME` (prefix left out); InputError lists the known ones."""
    if name not in organisms():
        raise unknown("organism", name, organisms() or ["none is shipped"])
    return _home() / name


def _home() -> Path:
    return Path(str(files("introspect.models") / "organisms"))  # an installed package lies unpacked in a folder
