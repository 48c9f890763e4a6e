"""What of a text is the answer, where a model writes its thinking first."""


def after_thinking(text: str) -> str | None:
    """Give what follows the closed <think> part, or all where there is none; None where thinking is all there is."""
    before, closed, after = text.rpartition("</think>")
    if closed:
        return after if after.strip() else None
    return None if "<think>" in before + after else text
