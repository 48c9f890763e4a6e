"""Time to detection: how many tokens of an answer it takes until a grader of words finds the claim in it.

Goes in: a grade that says detected, and what turns tokens into text. Comes out: the grade with its `tokens`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from introspect.grading import Grader
from introspect.records import Grade, Response, Trial

Decode = Callable[[Sequence[int]], str]
"""Turns tokens into text, without special tokens."""


def graded(grader: Grader, trial: Trial, response: Response, decode: Decode | None) -> Grade:
    """Grade one response; where it notices, and the grader reads words, count the tokens until it is seen to."""
    grade = grader(trial, response)
    if decode is None or not grade.detected or not grader.reads_words:
        return grade
    return replace(grade, tokens=_first(grader, trial, response, decode))


def _first(grader: Grader, trial: Trial, response: Response, decode: Decode) -> int:
    """Give the length of the shortest beginning that is graded as noticing; what is said later may take it back."""
    for count in range(1, len(response.token_ids)):
        so_far = replace(response, text=decode(response.token_ids[:count]))
        if grader(trial, so_far).detected:
            return count
    return len(response.token_ids)
