"""The command line: parse, call one function, print where the result is. torch is imported only inside commands."""

from introspect.cli.app import app

__all__ = ["app"]
