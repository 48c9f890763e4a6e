"""Grade the stored responses of a run again; responses are not touched.

Goes in: an open store and graders. Comes out: how many grades were stored, all of them or none.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from introspect.grading import Grader
from introspect.records import Grade
from introspect.results.store import Store


def regrade(store: Store, graders: Sequence[Grader], *, only_missing: bool = False) -> int:
    """Grade every response by every grader; with `only_missing`, where no grade by its present version is stored."""
    return store.put_grades(chain.from_iterable(_grades(store, grader, only_missing) for grader in graders))


def _grades(store: Store, grader: Grader, only_missing: bool) -> Iterator[Grade]:
    answers = store.answers(lacking=(grader.name, grader.version)) if only_missing else store.answers()
    return (grader(trial, response) for trial, response in answers)
