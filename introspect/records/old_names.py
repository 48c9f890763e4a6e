"""What options were called before: their old names, and an old value, are understood for one version more.

Takes what a command line or the manifest of a run says. Returns the names of today, which are those of the columns.
"""

from collections.abc import Mapping
from typing import Any

OLD_NAMES = {"dose": "strength_unit", "total_loops": "n_loops", "extract": "extract_loops"}
"""Names of today by those of before."""
OLD_UNITS = {"raw": "vector"}
"""Units of strength, likewise."""
_OLD_OPTIONS = {old.replace("_", "-"): new.replace("_", "-") for old, new in OLD_NAMES.items()}


def new_option(name: str) -> str:
    """Return the name of today of an option as it is written on the command line, without its dashes."""
    return _OLD_OPTIONS.get(name, name)


def new_entries(entries: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Return the entries of a manifest under their names of today, in the same order."""
    named = {OLD_NAMES.get(name, name): value for name, value in entries.items()}
    for old, unit in OLD_UNITS.items():
        if named.get("strength_unit") == old:
            named["strength_unit"] = unit
    return named
