"""A stranger's reading: another model sees the text of an answer alone, and guesses whether a thought was put in.

Beside what a model says of itself it shows what its text gives away: whoever identifies a concept only where a stranger
does too may have read its own words. Goes in: what goes into a judge, and the words that may have been injected.
"""

import hashlib
import json
from collections.abc import Sequence

from introspect.grading.judge.judge_settings import JudgeSettings
from introspect.grading.judge.judging import Judge
from introspect.grading.judge.replies import Backend, JudgeQuestion, ReplyCache
from introspect.grading.judge.rubrics import OF_ANY, UNCLEAR, YES_NO, JudgedAnswer, written
from introspect.grading.judge.verdict import Verdict
from introspect.protocols import kind_of
from introspect.records.response import Grade
from introspect.records.trial import Trial

STRANGER = "stranger"
_TOLD = ("coherent", "refused", "traces")


class Stranger(Judge):
    """Grades answers to questions about noticing; answers to others have no grade by it.

    `detected`: it finds traces of a thought and can quote them. `identified`: it does, and its word is the concept of
    the trial; of n words one is right by chance once in n traces.
    """

    name = STRANGER
    reading = (*Judge.reading, "judge/stranger")

    def __init__(self, settings: JudgeSettings, backend: Backend, cache: ReplyCache, words: Sequence[str]) -> None:
        super().__init__(settings, backend, cache)
        self.words = tuple(sorted(words))

    def versions(self) -> set[str]:
        """Return its one version, which hangs on the words."""
        return {self.version(STRANGER)}

    def version(self, rubric: str) -> str:
        """Return the hash of what a judge's holds, and of the words."""
        return hashlib.sha256(json.dumps([super().version(rubric), self.words]).encode()).hexdigest()[:12]

    def can_grade(self, trial: Trial) -> bool:
        """Tell whether the question is about noticing."""
        return kind_of(trial.question) == "noticing"

    def items(self, _: Trial) -> tuple[JudgedAnswer, ...]:
        """List what is asked, the same for every answer."""
        return *OF_ANY, JudgedAnswer("traces", YES_NO), JudgedAnswer("word", self.words, quoted=False)

    def question(self, trial: Trial, answer: str) -> JudgeQuestion:
        """Write down what is asked about one text: nothing in it hangs on the trial."""
        return written(STRANGER, self.items(trial), answer, words=self.words)

    def grade_of(self, trial: Trial, version: str, verdict: Verdict, _: str, /) -> Grade:
        """Return the grade of a verdict."""
        said = verdict.said
        coherent, refused, traces = (None if said[each] is None else said[each] == "yes" for each in _TOLD)
        untold = traces is None or (traces and said["word"] is None)
        named = None if untold else traces and said["word"] == trial.concept
        evidence = f"guessed {said['word'] or UNCLEAR}; {verdict.evidence}"
        return Grade(trial.id, self.name, version, traces, named, coherent, refused, evidence, answer=said["traces"])
