"""Files that appear whole or not at all; what a killed process left of one is swept when it is written again."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
"""This machine, as part files name it: a folder may be shared with others, whose processes cannot be looked up."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Return a file beside `path` to write, which takes its place when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    part = path.with_name(f".{path.name}.{HERE}.{os.getpid()}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Delete the part files of `path` whose processes ran on this machine and run no longer."""
    prefix = f".{path.name}.{HERE}."
    for part in path.parent.iterdir():
        number = part.name.removeprefix(prefix)
        if part.name.startswith(prefix) and number.isdecimal() and not _runs(int(number)):
            part.unlink(missing_ok=True)


def _runs(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no number of a process
        return True
    return True
