"""Tables and figures that a run cannot have: each is made for itself, and what it lacks is said in place of it.

Go in: makers by name. Come out: what they made, and of those that could not, why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from introspect.errors import InputError

Product = TypeVar("Product")


class AbsentError(InputError):
    """A table or figure that this run cannot have; the message says what it lacks."""


@dataclass(frozen=True)
class Made(Generic[Product]):
    """What was made, by name."""

    made: dict[str, Product] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Of what could not be made, what it lacks. What belongs to other protocols or settings is not named."""

    def __getitem__(self, name: str) -> Product:
        """Return one of what was made. Raises AbsentError with what it lacks."""
        if name in self.absent:
            raise AbsentError(f"{name}: {self.absent[name]}")
        return self.made[name]


def make_each(makers: Mapping[str, Callable[[], Product]]) -> Made[Product]:
    """Make each by itself, so that one that cannot be made leaves the others as they are."""
    found: Made[Product] = Made()
    for name, make in makers.items():
        try:
            found.made[name] = make()
        except AbsentError as lacking:
            found.absent[name] = str(lacking)
    return found


def said_absent(absent: Mapping[str, str]) -> str:
    """Say in one line what is not there and why, "rates and loops: not graded"; empty where nothing is missing."""
    by_reason: dict[str, list[str]] = {}
    for name, why in absent.items():
        by_reason.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())
