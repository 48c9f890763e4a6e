"""Runs commands inside this process, and looks at how they end."""

from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from introspect.cli import app, progress

NEVER = 1e6
"""Seconds until a line says how far a command is: stderr must not hang on how busy the machine is."""


def introspect(*args: object) -> tuple[int, str, str]:
    """Run a command and give its exit code, stdout and stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "LINE_SECONDS", NEVER)
        ran = CliRunner().invoke(app, [str(arg) for arg in args])
    return ran.exit_code, ran.stdout, ran.stderr


def refused(*args: object, code: int = 2) -> str:
    """Run a command that must end with one line on stderr and nothing else; give the line."""
    exit_code, out, err = introspect(*args)
    assert (exit_code, out) == (code, ""), (exit_code, out, err)
    assert err.startswith("introspect: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def arguments(options: Mapping[str, Any]) -> list[str]:
    """Write options of a sweep as a command line."""
    return [item for name, value in options.items() for item in (f"--{name.replace('_', '-')}", str(value))]
