"""What is said to a user whose input cannot be used: one line naming the thing, the value and what would be right."""

from collections.abc import Iterable


class InputError(ValueError):
    """Bad input of the user: shown as one line without a traceback; the command exits with 2."""


class InterruptionError(Exception):
    """Ctrl-C, minded after a batch: what was finished is stored, and the same command continues; exit code 130."""


def unknown(kind: str, name: object, known: Iterable[object]) -> InputError:
    """Make the error for a name that is not among the known ones."""
    return InputError(f"unknown {kind} {name!r}; known: {', '.join(str(item) for item in known)}")
