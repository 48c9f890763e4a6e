"""A grader made of a function: `@grader("name", version="1")` makes what GRADERS lists.

The function takes a trial and its response, and returns a Judgement.
"""

from collections.abc import Callable
from dataclasses import dataclass

from introspect.errors import InputError
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial


@dataclass(frozen=True)
class Judgement:
    """What a function says of one response; what it does not say stays unknown, and is never counted as no."""

    detected: bool | None = None
    identified: bool | None = None
    coherent: bool | None = None
    refused: bool | None = None
    evidence: str = ""
    """The words or numbers on which the verdict rests."""
    answer: str | None = None
    """The answer in its normal form, one of the options, or yes or no."""


@dataclass(frozen=True)
class FunctionGrader:
    """A function as a grader. It never ends an answer early."""

    name: str
    version: str
    """To be changed whenever the function is, so that old grades are told from new ones."""
    judge: Callable[[Trial, Response], Judgement]
    reads_words: bool = False
    """Whether the verdict rests on the text, so that the tokens until detection can be counted."""

    def __post_init__(self) -> None:
        """Refuse a grader whose grades could not be told from those of others."""
        for field, value in (("name", self.name), ("version", self.version)):
            if not value.strip() or value != value.strip() or "," in value:
                raise InputError(f"grader {field} {value!r}: must be words without a comma, such as shouting")

    def __call__(self, trial: Trial, response: Response) -> Grade:
        """Grade one response; whether the answer is correct follows from the trial."""
        found = self.judge(trial, response)
        correct = None if found.answer is None or trial.expected is None else found.answer == trial.expected
        verdicts = (found.detected, found.identified, found.coherent, found.refused)
        return Grade(trial.id, self.name, self.version, *verdicts, found.evidence, found.answer, correct)

    def decided(self, trial: Trial, text: str) -> bool:  # noqa: ARG002  # the same for every answer
        """Return False: a function that sees whole answers says nothing of parts of one."""
        return False


def grader(
    name: str, *, version: str, reads_words: bool = False
) -> Callable[[Callable[[Trial, Response], Judgement]], FunctionGrader]:
    """Return a decorator that makes a grader of a function."""
    return lambda judge: FunctionGrader(name, version, judge, reads_words)
