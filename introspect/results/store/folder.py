"""The folder of a run, before anything is written into it: empty, a run, or something else."""

from pathlib import Path

from introspect.errors import InputError
from introspect.results.store.connection import LEFTOVERS, RUN_FILE


def made_ready(folder: Path) -> Path:
    """Make the folder, unless it holds something that is not a run."""
    refuse_something_else(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder


def refuse_something_else(folder: Path) -> None:
    """Raise InputError if the folder holds something that is not a run; a killed creation counts as empty."""
    try:
        there = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise _unusable(folder, error) from error
    if there and RUN_FILE not in there and not there <= LEFTOVERS:
        raise InputError(f"{folder}: holds something else ({min(there - LEFTOVERS)}); choose another --out")


def refuse_file(folder: Path) -> None:
    """Raise InputError where a folder cannot be made, since it or one above it is a file."""
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), folder)
    if there.exists() and not there.is_dir():
        raise InputError(f"{folder}: cannot be used as a folder ({there} is a file); choose another --out")


def _unusable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be used as a folder ({error.strerror}); choose another --out")
