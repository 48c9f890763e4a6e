"""Grade the stored responses of a run again; responses are not touched.

Goes in: an open store and graders. Comes out: how many grades were stored, all of them or none.
"""

from collections.abc import Iterator, Sequence

from introspect.grading import Grader
from introspect.records import Grade
from introspect.results.store import Store


def regrade(store: Store, graders: Sequence[Grader], *, only_missing: bool = False) -> int:
    """Grade every response by every grader; with `only_missing`, where no grade by its present version is stored."""
    there = _present(store) if only_missing else set()
    before = len(there)
    store.put_grades(_grades(store, graders, there))
    return len(there) - before


def _present(store: Store) -> set[tuple[str, str, str]]:
    frame = store.frame("grades")
    return set(zip(frame["trial"], frame["grader"], frame["version"], strict=True))


def _grades(store: Store, graders: Sequence[Grader], there: set[tuple[str, str, str]]) -> Iterator[Grade]:
    """Grade, one response at a time, and note in `there` what was graded."""
    done = store.done_ids()
    for trial in store.trials():
        missing = [grader for grader in graders if (trial.id, grader.name, grader.version) not in there]
        if trial.id in done and missing:
            response = store.response(trial.id)
            for grader in missing:
                there.add((trial.id, grader.name, grader.version))
                yield grader(trial, response)
