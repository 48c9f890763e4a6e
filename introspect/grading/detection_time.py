"""Time to detection: how many tokens of an answer it takes until a grader of words finds the claim in it.

Goes in: a grade that says detected, and what turns tokens into text. Comes out: the grade with its `tokens`.
"""

from dataclasses import replace

from introspect.grading import Grader
from introspect.prompts.turns import Turns
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial


def graded(grader: Grader, trial: Trial, response: Response, turns: Turns | None) -> Grade:
    """Grade one response; where it notices, and the grader reads words, count the tokens until it is seen to.

    With the model's `turns` the answer of an older run is taken from its tokens, as is done today when it is written.
    """
    if turns is None:
        return grader(trial, response)
    grade = grader(trial, reread(response, turns))
    if not grade.detected or not grader.reads_words:
        return grade
    return replace(grade, tokens=_first(grader, trial, response, turns))


def reread(response: Response, turns: Turns) -> Response:
    """Take apart a response whose text is all that was drawn; one that was taken apart already stays as it is."""
    return _begun(response, turns) if response.text == turns.decode(response.token_ids) else response


def _begun(response: Response, turns: Turns, count: int | None = None) -> Response:
    """Return what a response says in all of its tokens, or in the first `count`."""
    turn = turns.read(response.token_ids[:count])
    return replace(response, text=turn.text, thinking=turn.thinking, cut=turn.cut)


def _first(grader: Grader, trial: Trial, response: Response, turns: Turns) -> int:
    """Return the length of the shortest beginning that is graded as noticing; what is said later may take it back."""
    for count in range(1, len(response.token_ids)):
        if grader(trial, _begun(response, turns, count)).detected:
            return count
    return len(response.token_ids)
