"""Grade the stored responses of a run again; responses are not touched.

Goes in: an open store and graders, or the settings of a judge. Comes out: how many grades were stored.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from introspect.errors import InterruptionError
from introspect.grading import Grader
from introspect.grading.detection_time import graded, reread
from introspect.grading.judge.judge_settings import JudgeSettings, key_from_environment
from introspect.grading.judge.judging import Judge, Spent, grade_all
from introspect.grading.judge.replies import Backend
from introspect.grading.judge.stranger import Stranger
from introspect.prompts.turns import Turns
from introspect.records.response import Grade
from introspect.results.store import queries
from introspect.results.store.judge_replies import Judgements
from introspect.results.store.store import Store

BATCH = 50
"""Grades of a judge stored at once; its replies are kept one by one."""


@dataclass(frozen=True)
class Judged:
    """What a judge has done to a run."""

    states: dict[str, int]
    """Grades stored now, by state."""
    skipped: int
    """Answers to questions that cannot be judged."""
    spent: Spent
    others: dict[str, int]
    """Replies of another model than the one asked for, by its name; each is noted with the reply as well."""


def regrade(store: Store, graders: Sequence[Grader], *, only_missing: bool = False, turns: Turns | None = None) -> int:
    """Grade every response by every grader; with `only_missing`, where no grade by its present version is stored.

    `turns` takes tokens apart; without it answers are read by their stored text, and no grade has the tokens until
    detection.
    """
    return store.put_grades(chain.from_iterable(_grades(store, grader, only_missing, turns) for grader in graders))


def judge_run(
    store: Store,
    settings: JudgeSettings,
    report: Callable[[int, int], None] = lambda *_: None,
    *,
    turns: Turns | None = None,
    stranger: bool = False,
) -> Judged:
    """Have every response judged; a reply that is kept beside the run is not asked for again.

    A `stranger` sees the text alone and guesses what was injected.

    Grades of another judge, or by another rubric, are replaced all at once at the end, so that the two are not mixed.
    Raises InputError for a judge that cannot be asked, ConnectionError when it stops answering, InterruptionError after
    Ctrl-C; the replies that came until then are kept, and the same call goes on.
    """
    with Judgements(store.folder, judge=settings.model, url=settings.url) as replies:
        backend = _backend(settings)
        asked = Stranger(settings, backend, replies, _words(store)) if stranger else Judge(settings, backend, replies)
        sink = _Sink(store, report, whole=_judged_otherwise(store, asked))
        try:
            answers = store.answers()
            shown = answers if turns is None else ((trial, reread(response, turns)) for trial, response in answers)
            asyncio.run(grade_all(asked, shown, sink.take))
            sink.flush()
        except KeyboardInterrupt:
            raise InterruptionError(
                f"stopped after {sink.seen} of {sink.total} answers; every reply is kept, the same command continues"
            ) from None
        finally:
            sink.flush_part()
    others = {} if settings.url is None else asked.spent.others(settings.model)
    return Judged(sink.states, sink.skipped, asked.spent, others)


class _Sink:
    """Takes grades as they come and stores them a batch at a time, or all at the end where they are to be whole."""

    def __init__(self, store: Store, report: Callable[[int, int], None], *, whole: bool) -> None:
        self._store, self._report, self._grades, self._whole = store, report, list[Grade](), whole
        self.seen, self.total, self.skipped, self.states = 0, store.count(), 0, dict[str, int]()
        report(0, self.total)

    def take(self, grade: Grade | None) -> None:
        self.seen += 1
        if grade is None:
            self.skipped += 1
        else:
            self.states[grade.state] = self.states.get(grade.state, 0) + 1
            self._grades.append(grade)
        if len(self._grades) >= BATCH:
            self.flush_part()
        self._report(self.seen, self.total)

    def flush(self) -> None:
        self._store.put_grades(self._grades)
        self._grades.clear()

    def flush_part(self) -> None:
        if not self._whole:
            self.flush()


def _judged_otherwise(store: Store, judge: Judge) -> bool:
    """Tell whether there are grades of a judge that is not this one, or has other rubrics now."""
    stored = {version for (version,) in store.select(queries.VERSIONS, judge.name)}
    return bool(stored - judge.versions())


def _words(store: Store) -> list[str]:
    """Return the concepts of a run."""
    return [word for (word,) in store.select(queries.CONCEPTS)]


def _backend(settings: JudgeSettings) -> Backend:
    """Open the judge; the heavy libraries are imported only for the one that is meant."""
    if settings.url is None:
        from introspect.grading.judge.local import LocalModel

        return LocalModel(settings)
    from introspect.grading.judge.endpoint import Endpoint

    return Endpoint(settings, key=key_from_environment())


def _grades(store: Store, grader: Grader, only_missing: bool, turns: Turns | None) -> Iterator[Grade]:
    answers = store.answers(lacking=(grader.name, grader.version)) if only_missing else store.answers()
    return (graded(grader, trial, response, turns) for trial, response in answers)
