"""Protocols: what is asked, where the span is, and which answers are right; one file each. PROTOCOLS lists them."""

from introspect.errors import unknown
from introspect.protocols.choose import CHOOSE
from introspect.protocols.compare import COMPARE
from introspect.protocols.control import CONTROL
from introspect.protocols.detect import DETECT
from introspect.protocols.localise import LOCALISE
from introspect.protocols.prior import PRIOR
from introspect.protocols.question import NEUTRAL, Asked, Occasion, Protocol, Question, Variant
from introspect.protocols.thought_or_text import THOUGHT_OR_TEXT
from introspect.protocols.unintended import UNINTENDED
from introspect.protocols.which_loop import WHICH_LOOP

__all__ = ["NEUTRAL", "PROTOCOLS", "SILENT", "Asked", "Occasion", "Protocol", "Question", "Variant", "protocol_named"]

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (DETECT, PRIOR, THOUGHT_OR_TEXT, UNINTENDED, CONTROL, LOCALISE, COMPARE, CHOOSE, WHICH_LOOP)
}
SILENT = frozenset(protocol.name for protocol in PROTOCOLS.values() if protocol.silent)
"""Protocols in which nothing is written that could be graded."""


def protocol_named(name: str) -> Protocol:
    """Give the protocol called `name`, or raise InputError naming the known ones."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
