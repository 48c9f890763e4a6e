"""Values that a notebook or the manifest of a run brings along, which may be anything, against the fields of a record.

Goes in: values by name, and the record whose fields they are for. Comes out: nothing, or an InputError.
"""

from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from introspect.errors import InputError
from introspect.selection import shown


def check_types(values: Mapping[str, object], record: type) -> None:
    """Raise InputError for a value that is not of the type of its field; whole numbers are floats as well."""
    for name, value in values.items():
        kind = _types(record)[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
            wanted = " or ".join("nothing" if each is NoneType else each.__name__ for each in kind)
            raise InputError(f"{name} {shown(repr(value))}: must be of type {wanted}, not {type(value).__name__}")


@cache
def _types(record: type) -> dict[str, tuple[type, ...]]:
    """Return the types that each field may have."""
    of = {name: _kinds(hint) for name, hint in get_type_hints(record).items()}
    return {name: (*kinds, int) if float in kinds else kinds for name, kinds in of.items()}


def _kinds(hint: Any) -> tuple[type, ...]:  # Any: what stands behind a colon
    origin = get_origin(hint)
    if origin is Literal:
        return tuple(dict.fromkeys(map(type, get_args(hint))))
    if origin in (Union, UnionType):
        return tuple(kind for each in get_args(hint) for kind in _kinds(each))
    return (origin or hint,)
