"""Which options the user gave, as against those that stand at their defaults."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from introspect.errors import InputError


def given(ctx: Any, name: str) -> bool:  # Any: typer keeps the class of its context in another place in each version
    """Tell whether an option stands on the command line."""
    return getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"


def refuse_of_run(ctx: Any, names: Sequence[str], run: Path | None) -> None:  # Any: as above
    """Raise InputError for an option that is given although the run already says it."""
    for name in names if run is not None else ():
        if given(ctx, name):
            raise InputError(f"{name}: is that of the run {run}; leave it out, or leave out --run")


def refuse_beside(ctx: Any, option: str, names: Sequence[str]) -> None:  # Any: as above
    """Raise InputError for an option that another one leaves without a meaning."""
    for name in names:
        if given(ctx, name):
            raise InputError(f"{name}: has no meaning with --{option}; leave it out")
