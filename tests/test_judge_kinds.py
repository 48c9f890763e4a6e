"""Whole kinds of faults of a judge's endpoint: none shows the key, takes long, is asked twice or leads elsewhere."""

import json
import os
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import NO, Handler, Step, cut, endpoint, hang, judged_run, status, text, verdict
from test_judge_command import grade, judged
from test_judge_endpoint import ask

from introspect.errors import InputError
from introspect.experiment.regrade import judge_run, regrade
from introspect.experiment.run import Run
from introspect.grading import GRADERS
from introspect.grading.judge.judge_settings import KEYS, JudgeSettings, key_from_environment
from introspect.grading.judge.pacing import asked_to_wait
from introspect.grading.judge.refusals import REDIRECTS, StoppedError
from introspect.results.store.store import Store

NAME = KEYS[0]
carried = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
"""Keys that a header can carry."""
ECHOES = {
    "a message": lambda key: status(400, f"bad key {key} in the request"),
    "a message on two lines": lambda key: status(400, f"bad key\n{key}"),
    "a field": lambda key: lambda handler: handler.send(400, {"seen": {"authorization": f"Bearer {key}"}}),
    "text": lambda key: lambda handler: handler.send(400, f"<html>{key}</html>"),
    "a reply that is none": lambda key: text(json.dumps({"headers": [key]})),
    "a repeated reply that is none": lambda key: text(json.dumps({"headers": json.dumps([key])})),
    "a code": lambda key: status(403, key, code=key),
    "no such model": lambda key: status(404, f"model {key} does not exist", code="model_not_found"),
    "a quota": lambda key: status(429, f"{key} has no quota", code="insufficient_quota"),
    "a redirect": lambda key: status(307, "moved", {"Location": f"http://127.0.0.1:9/{key}"}),
}
"""What an endpoint may send back of the key that it was sent."""


def unescaped(said: str) -> str:
    """Undo what JSON and Python write before quotation marks and backslashes."""
    return re.sub(r"\\(.)", r"\1", said)


@settings(max_examples=25, deadline=None)
@given(carried, st.sampled_from(sorted(ECHOES)), st.booleans(), st.booleans())
def test_no_error_shows_the_key_whatever_the_endpoint_sends_back(
    key: str, kind: str, answered: bool, listed: bool
) -> None:
    models: Step = lambda handler: handler.send(200, {"data": [{"id": key if listed else "m"}]})  # noqa: E731
    shown = []
    with endpoint(*[verdict(NO)] * answered, ECHOES[kind](key), models=models) as script:
        try:
            shown += [str(each) for each in ask(script, 2, key=key) if isinstance(each, Exception)]
        except (InputError, StoppedError) as error:
            shown.append(str(error))
    assert shown
    assert all(key not in form and "\n" not in form for each in shown for form in (each, unescaped(each))), shown


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_a_key_is_taken_without_the_blanks_around_it_or_refused_without_being_shown(key: str) -> None:
    with patch.dict(os.environ, {NAME: key}):
        os.environ.pop(KEYS[1], None)
        try:
            found = key_from_environment()
        except InputError as refusal:
            said = str(refusal)
            assert said.count(NAME) == 1
            assert "\n" not in said
            assert len(key) < 8 or key not in said
        else:
            assert found == (key.strip() or None)
            assert found is None or f"Bearer {found}".encode("ascii").isascii()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250.5", "retry-after": "1"}, 0.2505),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "-1"}, None),
        ({"retry-after-ms": "1e9"}, None),
        ({"retry-after-ms": "9" * 40, "retry-after": "3"}, 3.0),
        ({}, None),
    ],
)
def test_milliseconds_are_the_finer_wait_where_they_can_be_read(headers: dict[str, str], seconds: float | None) -> None:
    error = Exception("busy")
    error.response = SimpleNamespace(headers=headers)  # type: ignore[attr-defined]
    assert asked_to_wait(error) == seconds


def test_a_wait_in_milliseconds_is_kept() -> None:
    with endpoint(status(429, "busy", {"retry-after-ms": "300", "retry-after": "60"}), verdict(NO)) as script:
        ask(script)
    assert 0.3 <= script.at[1] - script.at[0] < 10


@pytest.mark.parametrize("number", REDIRECTS)
@pytest.mark.parametrize("asked_first", ["models", "completions"])
def test_a_redirect_to_another_host_is_refused_and_that_host_is_never_asked(number: int, asked_first: str) -> None:
    with endpoint(verdict(NO)) as other:
        away = status(number, "moved", {"Location": f"{other.url}/chat/completions"})
        models = away if asked_first == "models" else None
        with endpoint(away, models=models) as script, pytest.raises(InputError, match="it redirects to") as refusal:
            ask(script)
    assert other.asked == []
    assert str(other.port) in str(refusal.value)


def by_answer(handler: Handler) -> None:
    """Refuse one answer, and judge the others."""
    asked = handler.script.asked[-1]["messages"][1]["content"]
    (status(400, "the context is too long") if "\nToo long.\n" in asked else verdict(NO))(handler)


def test_a_question_that_fails_is_asked_once_by_a_command_and_all_its_trials_say_why(tmp_path: Path) -> None:
    run = judged_run(tmp_path / "run", ["No.", *["Too long."] * 30, "No."])
    with endpoint(by_answer) as script:
        code, out, _ = grade(run, script, "--judge-concurrency", 1)
        again, _, _ = grade(run, script, "--judge-concurrency", 1)
    assert (code, again) == (0, 0)
    assert len(script.asked) == 3  # the second command asks again, once, what had failed in the first
    assert "2 graded" in out
    assert "30 error" in out
    assert [one.state for one in judged(run)] == ["graded", *["error"] * 30, "graded"]


BROKEN: dict[str, Step] = {
    "down": status(500, "down"),
    "busy": status(503, "busy"),
    "refuses": status(400, "no"),
    "cut off": cut,
    "hangs up": hang(0),
    "no reply": text("<html>"),
    "silent": hang(30),
}
SECONDS = 20
"""The longest that a bad endpoint may take: it is 4 tries, with waits of at most 1, 2 and 4 seconds between them."""


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("kind", BROKEN)
def test_an_endpoint_that_is_bad_in_any_way_is_given_up_in_seconds_and_named(tmp_path: Path, kind: str) -> None:
    run = judged_run(tmp_path / "run", [f"Answer {n % 25}." for n in range(100)])
    with endpoint(BROKEN[kind]) as script:
        begun = time.monotonic()
        code, _, err = grade(run, script, "--judge-timeout", 0.5)
        took = time.monotonic() - begun
    assert code in (1, 2)
    assert (err.startswith("introspect: "), err.count("\n")) == (True, 1)
    assert script.url in err
    assert took < SECONDS


def test_a_reply_by_another_model_is_told_and_kept_with_the_reply(tmp_path: Path) -> None:
    run = judged_run(tmp_path / "run", ["No."] * 3)
    body = {"choices": [{"message": {"content": json.dumps(NO)}, "finish_reason": "stop"}], "model": "cheaper"}
    with endpoint(lambda handler: handler.send(200, body)) as script:
        _, out, _ = grade(run, script, "--judge-concurrency", 1)
        assert "3 replies came from 'cheaper', another model" in out
        _, again, _ = grade(run, script, "--judge-concurrency", 1)
    assert "3 replies came from 'cheaper', another model" in again
    assert len(script.asked) == 1


def test_a_run_is_graded_by_judge_and_rules_in_the_process_that_replayed_it(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    with Run.open(folder) as run:
        trial = run.trial(run.trials["trial"].iloc[0])
        before = trial.replay().response
        with endpoint(verdict(NO)) as script, Store.open(folder, write=True) as store:
            assert regrade(store, [GRADERS["rules"]]) == store.count()
            found = judge_run(store, JudgeSettings(model="m", url=script.url), lambda *_: None)
            assert sum(found.states.values()) + found.skipped == store.count()
        assert found.states["graded"] > 0
        assert trial.replay().response == before
