"""Graders: from a trial and its response to a Grade. GRADERS lists them by name; neither needs torch."""

from typing import Protocol

from introspect.errors import unknown
from introspect.grading.logits import LogitGrader
from introspect.grading.rules import RuleGrader
from introspect.records import Grade, Response, Trial


class Grader(Protocol):
    """Judges one response; unknown is None, and never counted as no."""

    @property
    def name(self) -> str:
        """Name under which grades are stored."""

    @property
    def version(self) -> str:
        """Changes whenever the grader's rules do."""

    def __call__(self, trial: Trial, response: Response) -> Grade:
        """Grade one response."""


GRADERS: dict[str, Grader] = {grader.name: grader for grader in (RuleGrader(), LogitGrader())}


def grader_named(name: str) -> Grader:
    """Give the grader called `name`, or raise InputError naming the known ones."""
    if name not in GRADERS:
        raise unknown("grader", name, GRADERS)
    return GRADERS[name]
