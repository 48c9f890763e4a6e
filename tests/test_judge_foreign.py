"""What a judge sends may be wrapped, long, or in other quotes; keys stay hidden, failures are not asked for again."""

import subprocess
import sys

import pytest
from judged import YES, reply, settings
from made import response, trial
from test_judging import Kept, Scripted, judged, one, verdicts

from introspect.errors import InputError
from introspect.grading.judge.judge_settings import key_from_environment
from introspect.grading.judge.replies import JudgeQuestion, Reply, Unanswered

TEXT = reply().content or ""


@pytest.mark.parametrize(
    "content",
    [f"\ufeff{TEXT}", f"```json {TEXT} ```", f"Here it is:\n```json\n{TEXT}\n```\nThat is all.", f"```\n{TEXT}\n```"],
)
def test_a_verdict_is_read_whatever_is_wrapped_around_it(content: str) -> None:
    assert verdicts(one(content)) == (True, True, True, False)


@pytest.mark.parametrize("quote", ["I don\u2019t say no", "i DON'T say no", "I don\u2018t  say\nno"])
def test_a_true_quotation_is_found_whatever_its_quotes_and_case(quote: str) -> None:
    said = {**YES, "identified": "no", "detected_quote": quote, "identified_quote": ""}
    assert one(said, "Well. I don't say no.").detected is True


def test_a_question_without_a_reply_is_asked_once_for_all_its_trials() -> None:
    def never(_: JudgeQuestion) -> Reply:
        raise Unanswered("timed-out", "no reply")

    trials, backend = [trial(repeat=repeat) for repeat in range(20)], Scripted(never)
    grades = judged([(each, response(each)) for each in trials], backend, Kept())
    assert {grade.state for grade in grades.values()} == {"timed-out"}
    assert (len(grades), len(backend.asked)) == (20, 1)


@pytest.mark.parametrize(("key", "read"), [("sk-x ", "sk-x"), ("\tsk-x\n", "sk-x"), ("  ", None)])
def test_blanks_around_a_key_are_not_of_it(monkeypatch: pytest.MonkeyPatch, key: str, read: str | None) -> None:
    monkeypatch.setenv("INTROSPECT_JUDGE_KEY", key)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert key_from_environment() == read


def test_a_key_that_no_header_carries_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTROSPECT_JUDGE_KEY", "sk-\u00e4 secret")
    with pytest.raises(InputError) as refusal:
        key_from_environment()
    assert "secret" not in str(refusal.value)


def test_a_client_opens_after_a_model_was_tapped() -> None:
    code = "import introspect.models.tap, anyio.abc; assert not hasattr(object, 'save')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_model_than_the_one_asked_for_is_counted() -> None:
    from introspect.grading.judge.judging import Spent

    spent = Spent()
    for model in ("m-2026", "other", None):
        spent.add(reply(model=model))
    assert spent.others(settings("http://localhost/v1").model) == {"other": 1}
