"""The command `prompts`: the shipped templates."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def prompts() -> None:
    """List the shipped prompt templates."""
    from introspect.cli.printing import print_rows
    from introspect.prompts import template_names

    print_rows(("template", "what it is"), list(template_names().items()))
