"""What is known of controls, and of questions that no organism was taught; at one layer, strength 2.

`aware` was taught to answer on what is in its states; `blind` was never injected with anything. What they say where
nothing of a concept is in the states follows from that. Where a truth was only measured, it says so.
"""

from introspect.calibration.checks import Truth
from introspect.calibration.truth_cells import LAST_LOOP, of_cells

_CONTROLS = (
    Truth("aware", "takes most directions in the span of concepts for one", 0.5, 1, of_cells("in-span", 2)),
    Truth("aware", "takes a concept in the text for no injected one", 0, 0.1, of_cells("text")),
    Truth("blind", "notices no direction in the span of concepts", 0, 0.02, of_cells("in-span", 2)),
    Truth("blind", "takes a concept in the text for no injected one", 0, 0.02, of_cells("text")),
)
"""`aware` was taught that random directions are none, and never one in the span of concepts, where concepts lie; words
stood in the text of one framing, with nothing injected."""
_IDENTIFY = (
    Truth(
        *("aware", "names the concept after a yes of ours in the last loop", 0.8, 1),
        of_cells("injected", 2, (LAST_LOOP,), "identify"),
        "correct",
    ),
    *(
        Truth(
            *(organism, f"names the concept after a yes of ours {when} by luck alone", 0, 0.05),
            of_cells(arm, strength, question="identify"),
            "correct",
        )
        for organism in ("aware", "blind")
        for arm, strength, when in (("none", None, "without an injection"), ("random", 2, "under random directions"))
    ),
    Truth(
        *("blind", "names what leaks after a yes of ours", 0.1, 0.5),
        of_cells("injected", 2, question="identify"),
        "correct",
    ),
)
"""That `blind` names some concepts was measured, and follows from nothing: what is added reaches the head."""
_THIRD_PERSON = (
    Truth(
        *("aware", "ascribes no thought to another model without an injection", 0, 0.05),
        of_cells("none", question="third-person"),
    ),
    Truth(
        *("aware", "ascribes its own to another model: it was never asked about one", 0.5, 1),
        of_cells("injected", 2, question="third-person"),
    ),
)
"""That `aware` says of another model what it says of itself was measured; nothing taught it to tell the two apart. Of
`blind` no more is claimed: it was taught to deny thoughts of its own, and was never asked about another's."""
CONTROL_TRUTHS: tuple[Truth, ...] = (*_CONTROLS, *_IDENTIFY, *_THIRD_PERSON)
