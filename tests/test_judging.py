"""The judge asks nothing twice, keeps what it was told before it reads it, and never makes a no of what failed."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from judged import ANSWER, NO, YES, reply, settings
from made import response, trial

from introspect.grading.judge.judging import Judge, grade_all
from introspect.grading.judge.replies import JudgeQuestion, Reply, Unanswered
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial

UNDECIDED = (None, None, None, None)


class Kept(dict[str, Reply]):
    """Keeps replies in memory."""

    def put(self, key: str, _: JudgeQuestion, reply: Reply) -> None:
        self[key] = reply


class Scripted:
    """Answers by a function, and counts."""

    identity = "m"

    def __init__(self, answer: Callable[[JudgeQuestion], Reply]) -> None:
        self.answer, self.asked, self.closed = answer, list[JudgeQuestion](), False

    async def ask(self, question: JudgeQuestion) -> Reply:
        self.asked.append(question)
        await asyncio.sleep(0.001)
        return self.answer(question)

    async def close(self) -> None:
        self.closed = True


def judged(answers: list[tuple[Trial, Response]], backend: Scripted, kept: Kept, **changes: Any) -> dict[str, Grade]:
    grades: dict[str, Grade] = {}
    judge = Judge(settings("http://localhost/v1", **changes), backend, kept)
    asyncio.run(grade_all(judge, answers, lambda grade: grades.update({grade.trial_id: grade}) if grade else None))
    return grades


def one(content: Any = None, answer: str = ANSWER, of: Trial | None = None, **changes: Any) -> Grade:
    """Grade one answer by one reply."""
    of = of or trial()
    return judged([(of, response(of, answer))], Scripted(lambda _: reply(content, **changes)), Kept())[of.id]


def verdicts(grade: Grade) -> tuple[bool | None, ...]:
    return grade.detected, grade.identified, grade.coherent, grade.refused


def test_a_verdict_becomes_a_grade_with_its_quotes() -> None:
    grade = one()
    assert (verdicts(grade), grade.state, grade.answer) == ((True, True, True, False), "graded", "yes")
    assert "“It is about dust.”" in grade.evidence
    assert verdicts(one({**NO, "coherent": "unclear"})) == (False, False, None, False)


def test_unclear_is_graded_and_unknown() -> None:
    grade = one({**NO, "detected": "unclear", "identified": "unclear"})
    assert (grade.detected, grade.identified, grade.answer, grade.state) == (None, None, None, "graded")


@pytest.mark.parametrize(
    ("content", "changes", "state"),
    [
        ("no", {}, "malformed"),
        ({**YES, "detected_quote": "I do."}, {}, "malformed"),
        ("I'm sorry, I cannot.", {}, "refused"),
        (None, {"finish_reason": "length"}, "truncated"),
        ({**YES, "detected": "no"}, {}, "contradictory"),
    ],
)
def test_what_cannot_be_used_is_a_state_and_no_verdict(content: Any, changes: dict[str, Any], state: str) -> None:
    grade = one(content, **changes)
    assert (grade.state, verdicts(grade), grade.answer, grade.correct) == (state, UNDECIDED, None, None)
    assert grade.evidence


def test_an_answer_is_right_or_wrong_where_one_is_expected() -> None:
    said = {"why": "", "coherent": "yes", "refused": "no", "refused_quote": "", "answer_quote": "dust"}
    chosen = {"question": "choose", "options": ("dust", "snow")}
    for expected, correct in (("dust", True), ("snow", False), (None, None)):
        grade = one({**said, "answer": "dust"}, "dust", trial(**chosen, expected=expected))
        assert (grade.answer, grade.correct, grade.detected) == ("dust", correct, None)
    unclear = one({**said, "answer": "unclear"}, "dust", trial(**chosen, expected="dust"))
    assert (unclear.answer, unclear.correct) == (None, None)


def test_a_line_is_repeated_or_what_was_written_instead_is_the_answer() -> None:
    said = {"why": "", "coherent": "yes", "refused": "no", "refused_quote": "", "answer_quote": "He sat"}
    line = {"question": "repeat", "options": ("He sat down.",), "expected": "He sat down."}
    of = trial(**line, variables=(("sentence", "He sat down."),))
    right = one({**said, "answer": "yes"}, "“He sat down”", of)
    assert (right.answer, right.correct) == ("He sat down.", True)
    wrong = one({**said, "answer": "no"}, "He sat up.\nOr so.", of)
    assert (wrong.answer, wrong.correct) == ("He sat up.", False)


def test_nothing_is_asked_about_nothing() -> None:
    backend, empty, thinking, control = (
        Scripted(lambda _: reply()),
        trial(),
        trial(repeat=1),
        trial(protocol="control", question="control-think"),
    )
    answers = [
        (empty, response(empty, " \n")),
        (thinking, response(thinking, "<think>Hm")),
        (control, response(control)),
    ]
    grades = judged(answers, backend, Kept())
    assert backend.asked == []
    assert [verdicts(grades[one.id]) for one in (empty, thinking)] == [UNDECIDED] * 2
    assert control.id not in grades


def test_only_what_follows_the_thinking_is_judged() -> None:
    backend, of = Scripted(lambda _: reply()), trial()
    judged([(of, response(of, f"<think>No.</think>{ANSWER}"))], backend, Kept())
    assert "No." not in backend.asked[0].messages[1]["content"]


def test_nothing_is_asked_twice_neither_at_once_nor_later() -> None:
    same = [trial(repeat=repeat, arm=arm) for repeat in range(4) for arm in ("none", "random")]
    answers = [(one, response(one)) for one in same] + [(trial(concept="snow"), response(trial(concept="snow")))]
    backend, kept = Scripted(lambda _: reply()), Kept()
    grades = judged(answers, backend, kept)
    assert (len(backend.asked), len(kept), len(grades)) == (2, 2, 9)
    assert judged(answers, backend, kept) == grades
    assert len(backend.asked) == 2


def test_another_model_limit_or_address_is_another_question_and_another_version() -> None:
    of = trial()
    backend, kept = Scripted(lambda _: reply()), Kept()
    first = judged([(of, response(of))], backend, kept)[of.id]
    longer = judged([(of, response(of))], backend, kept, max_tokens=7)[of.id]
    backend.identity = "n"
    other = judged([(of, response(of))], backend, kept)[of.id]
    assert len(backend.asked) == 3
    assert len({first.version, longer.version, other.version}) == 3
    judged([(of, response(of))], backend, kept, timeout=1.0, price=(1.0, 1.0), concurrency=1)
    assert len(backend.asked) == 3


def test_what_got_no_reply_is_a_state_and_is_asked_again_later() -> None:
    def answer(_: JudgeQuestion) -> Reply:
        if len(backend.asked) == 1:
            raise Unanswered("timed-out", "no reply within 5 s")
        return reply()

    backend, kept, of = Scripted(answer), Kept(), trial()
    grade = judged([(of, response(of))], backend, kept)[of.id]
    assert (grade.state, verdicts(grade), kept) == ("timed-out", UNDECIDED, {})
    assert judged([(of, response(of))], backend, kept)[of.id].state == "graded"


def test_a_reply_is_kept_as_it_was_even_where_it_cannot_be_used() -> None:
    kept, of = Kept(), trial()
    judged([(of, response(of))], Scripted(lambda _: reply("no")), kept)
    assert [kept_reply.content for kept_reply in kept.values()] == ["no"]


def test_an_error_that_ends_the_asking_comes_through_and_closes_the_judge() -> None:
    def stop(_: JudgeQuestion) -> Reply:
        raise ConnectionError("gone")

    backend, trials = Scripted(stop), [trial(concept=word) for word in ("dust", "snow", "rain")]
    with pytest.raises(ConnectionError, match="gone"):
        judged([(one, response(one)) for one in trials], backend, Kept())
    assert backend.closed


def test_as_many_are_asked_at_once_as_the_settings_say() -> None:
    class Counting(Scripted):
        now = most = 0

        async def ask(self, question: JudgeQuestion) -> Reply:
            self.now += 1
            self.most = max(self.most, self.now)
            found = await super().ask(question)
            self.now -= 1
            return found

    backend, trials = Counting(lambda _: reply()), [trial(concept=f"word{number}") for number in range(20)]
    judged([(one, response(one)) for one in trials], backend, Kept(), concurrency=3)
    assert backend.most == 3


def test_tokens_and_cost_are_added_up_and_missing_once_one_is() -> None:
    judge = Judge(settings("http://localhost/v1"), Scripted(lambda _: reply()), Kept())
    judge.spent.add(reply(cost=0.5))
    judge.spent.add(reply(cost=0.25))
    assert (judge.spent.asked, judge.spent.prompt_tokens, judge.spent.cost) == (2, 200, 0.75)
    judge.spent.add(reply(cost=None, prompt_tokens=None))
    assert (judge.spent.prompt_tokens, judge.spent.completion_tokens, judge.spent.cost) == (None, 60, None)


def test_the_schema_asked_for_is_the_form_that_is_read() -> None:
    backend, of = Scripted(lambda _: reply()), trial()
    judged([(of, response(of))], backend, Kept())
    assert set(json.loads(backend.asked[0].schema)["required"]) == set(YES)
