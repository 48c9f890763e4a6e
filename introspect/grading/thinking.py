"""What of a response is the answer: without thinking, and without what was written behind the writer's own turn.

Responses of today hold the answer alone, taken from their tokens. Those of older runs are read by their words.
"""

from introspect.prompts.turns import own_turn
from introspect.records.response import Response


def answer_of(response: Response) -> str | None:
    """Return the answer; None where the thinking never ended in one."""
    if response.thinking and not response.text.strip():
        return None
    return said_in(response.text)


def said_in(text: str) -> str | None:
    """Return the answer in a text; None where it is all thinking."""
    answer = after_thinking(text)
    if answer is None:
        return None
    end = own_turn(answer)
    return answer if end == len(answer) else answer[:end].rstrip()


def after_thinking(text: str) -> str | None:
    """Return what follows the closed <think> part, or all where there is none; None where thinking is all there is."""
    before, closed, after = text.rpartition("</think>")
    if closed:
        return after if after.strip() else None
    return None if "<think>" in before + after else text
