"""The judge at work: trials and their responses go in, grades come out, several at once and no question asked twice.

A reply is kept before it is read, so that nothing that was paid for is lost. What got no reply is not kept: it is asked
again when the grading is run again, and until then its grade says why.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from introspect.grading.judge.judge_settings import JudgeSettings
from introspect.grading.judge.replies import Backend, JudgeQuestion, Reply, ReplyCache, Unanswered
from introspect.grading.judge.rubrics import JudgedAnswer, is_judged, items, question, rubric_hash, rubrics
from introspect.grading.judge.verdict import Unusable, Verdict, read_verdict
from introspect.grading.picking import is_correct
from introspect.grading.source_hash import content_version
from introspect.grading.thinking import answer_of
from introspect.protocols import WRITTEN, kind_of
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial

_NAME = "judge"
_READING = ("judge/rubrics", "judge/verdict", "judge/judging")


@dataclass
class Spent:
    """What the replies to a run's questions took; a count is None once one of them is not known."""

    asked: int = 0
    """Replies that came now."""
    cached: int = 0
    """Replies that had been kept."""
    prompt_tokens: int | None = 0
    """Tokens read for the replies that came now."""
    completion_tokens: int | None = 0
    cost: float | None = 0.0
    forms: Counter[str] = field(default_factory=Counter)
    """All replies by what of the request was taken."""

    models: Counter[str] = field(default_factory=Counter)
    """All replies by the model that gave them, as the endpoint names it."""

    def keep(self, reply: Reply) -> None:
        """Count a reply that had been kept."""
        self.cached += 1
        self.models[reply.model or ""] += 1
        self.forms[reply.asked_as] += 1

    def others(self, asked: str) -> dict[str, int]:
        """Return how many replies came from each model whose name does not go on from the one that was asked."""
        own = asked.rpartition("/")[2].casefold()
        return {name: count for name, count in self.models.items() if name and own not in name.casefold()}

    def add(self, reply: Reply) -> None:
        """Count a reply that came now."""
        self.asked += 1
        self.models[reply.model or ""] += 1
        self.forms[reply.asked_as] += 1
        self.prompt_tokens = _tokens(self.prompt_tokens, reply.prompt_tokens)
        self.completion_tokens = _tokens(self.completion_tokens, reply.completion_tokens)
        self.cost = None if self.cost is None or reply.cost is None else self.cost + reply.cost


class Judge:
    """Grades answers by what another model says about them."""

    name = _NAME
    reading: tuple[str, ...] = _READING
    """The files that say how its replies are read; a change of them is another version."""

    def __init__(self, settings: JudgeSettings, backend: Backend, cache: ReplyCache) -> None:
        self.settings, self.backend, self.spent = settings, backend, Spent()
        self._cache = cache
        self._unanswered: dict[str, tuple[str, str]] = {}  # of this command: the same question is not asked again
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def version(self, rubric: str) -> str:
        """Return the hash of the rubric, the model, how it is asked and how its replies are read."""
        parts = [rubric_hash(rubric), self.backend.identity, self.settings.asked, content_version(*self.reading)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    async def grade(self, trial: Trial, response: Response) -> Grade | None:
        """Grade one response; None where the question is none that can be judged."""
        if not self.can_grade(trial):
            return None
        answer = answer_of(response)
        asked = self.question(trial, answer or "")
        version = self.version(asked.rubric)
        if answer is None or not answer.strip():
            return Grade(trial.id, self.name, version, None, None, None, None, "there is no answer to judge")
        try:
            verdict = read_verdict(await self._reply(asked), self.items(trial), answer)
        except (Unanswered, Unusable) as nothing:
            return Grade(trial.id, self.name, version, None, None, None, None, str(nothing), state=nothing.state)
        return self.grade_of(trial, version, verdict, answer)

    def versions(self) -> set[str]:
        """Return the versions of all grades that it may give."""
        return {self.version(rubric) for rubric in rubrics().values()}

    def can_grade(self, trial: Trial) -> bool:
        """Tell whether there is anything to judge. Raises InputError for a question that no rubric is made for."""
        return is_judged(trial)

    def items(self, trial: Trial) -> tuple[JudgedAnswer, ...]:
        """List what is decided of an answer."""
        return items(trial)

    def question(self, trial: Trial, answer: str) -> JudgeQuestion:
        """Write down what is asked about an answer."""
        return question(trial, answer)

    def grade_of(self, trial: Trial, version: str, verdict: Verdict, text: str, /) -> Grade:
        """Return the grade of a verdict."""
        return _grade(trial, version, verdict, text)

    async def _reply(self, asked: JudgeQuestion) -> Reply:
        """Return the reply that is kept, or ask for one; the same question is never under way twice."""
        key = asked.key(self.settings, self.backend.identity)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            kept = self._cache.get(key)
            if kept is not None:
                self.spent.keep(kept)
                return kept
            if key in self._unanswered:
                raise Unanswered(*self._unanswered[key])
            try:
                reply = await self.backend.ask(asked)
            except Unanswered as nothing:
                self._unanswered[key] = nothing.state, str(nothing)
                raise
            self._cache.put(key, asked, reply)
            self.spent.add(reply)
            return reply


async def grade_all(
    judge: Judge, answers: Iterable[tuple[Trial, Response]], done: Callable[[Grade | None], None]
) -> None:
    """Grade answers, as many at once as the settings say, and hand each grade over as it comes."""
    waiting = iter(answers)

    async def work() -> None:
        for trial, response in waiting:
            done(await judge.grade(trial, response))
            await asyncio.sleep(0)  # so that Ctrl-C is heard where every reply is kept already

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(judge.settings.concurrency):
                group.create_task(work())
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        await judge.backend.close()


def _grade(trial: Trial, version: str, verdict: Verdict, text: str) -> Grade:
    said = verdict.said
    answer = said["answer"] if "answer" in said else said.get("detected")
    if (
        kind_of(trial.question) in WRITTEN and answer is not None
    ):  # as the rules say it: the line, or what was written instead
        answer = trial.options[0] if answer == "yes" else text.strip().splitlines()[0]
    return Grade(
        trial_id=trial.id,
        grader=_NAME,
        version=version,
        detected=_bool(said.get("detected")),
        identified=_bool(said.get("identified")),
        coherent=_bool(said["coherent"]),
        refused=_bool(said["refused"]),
        evidence=verdict.evidence,
        answer=answer,
        correct=is_correct(trial, answer),
    )


def _bool(said: str | None) -> bool | None:
    return None if said is None else said == "yes"


def _tokens(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more
