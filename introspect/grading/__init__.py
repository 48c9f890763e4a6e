"""Graders: from a trial and its response to a Grade. GRADERS lists them by name; neither needs torch."""

from collections.abc import Callable
from typing import Protocol

from introspect.errors import unknown
from introspect.grading.logits import LogitGrader
from introspect.grading.rules import RuleGrader
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial

_Decider = Callable[[Trial, str], bool]
"""Tells from the answer so far whether its grade is settled."""


class Grader(Protocol):
    """Judges one response; unknown is None, and never counted as no."""

    @property
    def name(self) -> str:
        """Name under which grades are stored."""

    @property
    def version(self) -> str:
        """Changes whenever the grader's rules do."""

    @property
    def reads_words(self) -> bool:
        """Tell whether the verdict rests on the text, so that it can be told when the text gave it."""

    def __call__(self, trial: Trial, response: Response) -> Grade:
        """Grade one response."""

    def decided(self, trial: Trial, text: str) -> bool:
        """Declare whether the answer so far settles the grade; asked only where a sweep wants answers ended early."""


GRADERS: dict[str, Grader] = {grader.name: grader for grader in (RuleGrader(), LogitGrader())}


def grader_named(name: str) -> Grader:
    """Return the grader called `name`, or raise InputError naming the known ones."""
    if name not in GRADERS:
        raise unknown("grader", name, GRADERS)
    return GRADERS[name]


def decision_of(name: str) -> str:
    """Name the decision that a grader declares, as a trial carries it: the grader and its version."""
    return f"{name} {grader_named(name).version}"


def deciders() -> dict[str, _Decider]:
    """Return the decisions of all graders, by `decision_of` their names."""
    return {decision_of(name): grader.decided for name, grader in GRADERS.items()}
