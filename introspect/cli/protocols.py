"""The command `protocols`: what each asks, in which framings, with which arms."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from introspect.protocols import Protocol


def protocols() -> None:
    """List the protocols: what each asks, in which framings, and the arms that it runs by default."""
    from introspect.cli.printing import print_rows
    from introspect.protocols import PROTOCOLS

    rows = [
        (name, protocol.summary, *map(", ".join, (_questions(protocol), protocol.framings, protocol.arms)))
        for name, protocol in PROTOCOLS.items()
    ]
    print_rows(("protocol", "what it asks", "questions", "framings", "arms"), rows)


def _questions(protocol: "Protocol") -> list[str]:
    return [question.name for question in protocol.questions]
