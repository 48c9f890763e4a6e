"""An endpoint is asked again when that may help, not when it may not, and what went wrong is told apart."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from judged import NO, Script, Step, cut, endpoint, hang, settings, status, text, verdict
from made import trial

from introspect.errors import InputError
from introspect.grading.judge.endpoint import FAILURES, FIRST_TRIES, Endpoint
from introspect.grading.judge.pacing import JudgePace, asked_to_wait
from introspect.grading.judge.refusals import StoppedError
from introspect.grading.judge.replies import Reply, Unanswered
from introspect.grading.judge.rubrics import question

KEY = "sk-secret-1234"
QUESTION = question(trial(), "Yes. It is about dust.")


@asynccontextmanager
async def opened(script: Script, key: str | None, **changes: Any) -> AsyncIterator[Endpoint]:
    judge = Endpoint(settings(script.url, **changes), key=key, pace=JudgePace(0.001))
    try:
        yield judge
    finally:
        await judge.close()


async def _reply_or_none(judge: Endpoint) -> Reply | Exception:
    try:
        return await judge.ask(QUESTION)
    except Unanswered as unanswered:
        return unanswered


def ask(script: Script, times: int = 1, *, key: str | None = KEY, **changes: Any) -> list[Reply | Exception]:
    """Ask so often one after the other; give what comes, errors of a single question as they are."""

    async def asking() -> list[Reply | Exception]:
        async with opened(script, key, **changes) as judge:
            return [await _reply_or_none(judge) for _ in range(times)]

    return asyncio.run(asking())


def waiting_error(value: str) -> Exception:
    """Make an error that carries a response with Retry-After."""
    error = Exception("busy")
    error.response = SimpleNamespace(headers={"retry-after": value})  # type: ignore[attr-defined]
    return error


def test_a_reply_comes_back_as_it_was_with_its_tokens_and_cost() -> None:
    with endpoint(verdict(NO)) as script:
        (found,) = ask(script, price=(0.5, 2.0))
    assert isinstance(found, Reply)
    assert (json.loads(found.content or ""), found.finish_reason, found.model) == (NO, "stop", "m-1")
    assert (found.prompt_tokens, found.completion_tokens, found.cost) == (100, 20, pytest.approx(90e-6))


@pytest.mark.parametrize("body", ['{"choices": []}', "[]", '{"error": "busy"}', "[" * 100_000, "1" * 5000])
def test_a_body_that_is_no_chat_completion_is_asked_for_again(body: str) -> None:
    with endpoint(text(body), verdict()) as script:
        (found,) = ask(script)
    assert isinstance(found, Reply)
    assert len(script.asked) == 2


def test_what_cannot_be_stored_of_a_reply_is_missing_or_written_out() -> None:
    body = '{"choices": [{"message": {"content": "\\ud800", "refusal": 7}}], "usage": {"prompt_tokens": -1}}'
    with endpoint(text(body)) as script:
        (found,) = ask(script)
    assert isinstance(found, Reply)
    assert (found.content, found.refusal, found.prompt_tokens, found.completion_tokens) == ("\\ud800", None, None, None)


def test_without_a_price_the_cost_is_missing_and_not_0() -> None:
    with endpoint(verdict()) as script:
        (found,) = ask(script)
    assert isinstance(found, Reply)
    assert found.cost is None


def test_the_request_asks_for_the_schema_at_temperature_0_with_the_key() -> None:
    with endpoint(verdict()) as script:
        ask(script)
    (sent,) = script.asked
    assert sent["response_format"]["json_schema"]["schema"] == json.loads(QUESTION.schema)
    assert (sent["response_format"]["type"], sent["temperature"], sent["max_tokens"]) == ("json_schema", 0, 1024)
    assert sent["messages"] == list(QUESTION.messages)
    assert script.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize("step", [status(500), status(503), status(429), status(408), cut, hang(0), text("<html>oops")])
def test_what_passes_is_asked_again_until_there_is_a_reply(step: Step) -> None:
    with endpoint(step, step, verdict()) as script:
        (found,) = ask(script)
    assert isinstance(found, Reply)
    assert len(script.asked) == 3


def test_a_wait_that_is_asked_for_is_kept_by_all_calls() -> None:
    refused, began = asyncio.Event(), dict[str, float]()

    async def busy() -> None:
        if not refused.is_set():
            began["refused"] = time.monotonic()
            refused.set()
            raise waiting_error("0.1")

    async def other() -> None:
        began["other"] = time.monotonic()

    async def calling() -> None:
        pace = JudgePace(0.001)
        first = asyncio.create_task(pace.tried(busy, lambda _: True))
        await refused.wait()
        await asyncio.sleep(0.01)
        await pace.tried(other, lambda _: True)
        await first

    asyncio.run(calling())
    assert began["other"] - began["refused"] >= 0.1


def test_a_wait_may_be_seconds_or_a_date() -> None:
    assert asked_to_wait(waiting_error("2.5")) == 2.5
    assert asked_to_wait(waiting_error("-3")) == 0
    assert asked_to_wait(waiting_error("soon")) is asked_to_wait(waiting_error("nan")) is None
    assert asked_to_wait(waiting_error(formatdate(4e9, usegmt=True))) == pytest.approx(4e9 - time.time(), rel=0.01)
    assert asked_to_wait(Exception()) is None


def test_a_wait_that_is_too_long_ends_the_asking() -> None:
    with endpoint(status(429, "later", {"Retry-After": "86400"})) as script, pytest.raises(StoppedError, match="later"):
        ask(script)
    assert len(script.asked) == 1


def test_a_hang_is_timed_out_after_a_few_tries() -> None:
    with endpoint(verdict(), hang(2), hang(2), hang(2), verdict()) as script:
        _, unanswered, after = ask(script, 3, timeout=0.2)
    assert isinstance(unanswered, Unanswered)
    assert (unanswered.state, str(unanswered)) == ("timed-out", "no reply within 0.2 s")
    assert isinstance(after, Reply)


def test_a_question_that_stays_without_a_reply_is_an_error_and_the_next_is_asked() -> None:
    with endpoint(verdict(), status(400, "the context is too long"), verdict()) as script:
        _, unanswered, after = ask(script, 3)
    assert isinstance(unanswered, Unanswered)
    assert (unanswered.state, str(unanswered)) == ("error", "HTTP 400: the context is too long")
    assert isinstance(after, Reply)
    assert len(script.asked) == 3


def test_an_endpoint_that_stops_answering_is_given_up() -> None:
    with endpoint(verdict(), status(400, "no more")) as script, pytest.raises(StoppedError, match=r"10 .*no more"):
        ask(script, 20)
    assert len(script.asked) == 1 + FAILURES


def test_failures_with_replies_between_them_do_not_add_up() -> None:
    with endpoint(*[verdict(), status(400, "too long")] * (FAILURES + 1), verdict()) as script:
        found = ask(script, 2 * FAILURES + 3)
    assert sum(isinstance(one, Reply) for one in found) == FAILURES + 2


def test_an_endpoint_that_never_answers_is_given_up_at_the_first_question() -> None:
    with endpoint(status(500, "down")) as script, pytest.raises(StoppedError, match=r"first question.*HTTP 500: down"):
        ask(script, 20)
    assert len(script.asked) == FIRST_TRIES


def test_a_used_up_quota_ends_the_asking_at_once() -> None:
    spent = status(429, "You exceeded your current quota", code="insufficient_quota")
    with endpoint(verdict(), spent) as script, pytest.raises(StoppedError, match="quota is used up"):
        ask(script, 5)
    assert len(script.asked) == 2


@pytest.mark.parametrize(("key", "said"), [(None, "wants a key"), (KEY, "does not take the key")])
def test_a_wrong_key_is_an_input_error_before_anything_is_asked(key: str | None, said: str) -> None:
    refusing = status(401, f"Incorrect API key provided: {KEY}")
    with endpoint(verdict(), models=refusing) as script, pytest.raises(InputError, match=said) as refusal:
        ask(script, key=key)
    assert script.asked == []
    assert KEY not in str(refusal.value)
    assert "INTROSPECT_JUDGE_KEY" in str(refusal.value)


def test_a_url_where_nothing_listens_is_an_input_error() -> None:
    with endpoint() as script:
        pass
    with pytest.raises(InputError, match=r"--judge-url http.*cannot be reached"):
        ask(script)


@pytest.mark.parametrize(
    "step",
    [
        status(404, "The model `m` does not exist", code="model_not_found"),
        status(400, "Server is pinned to 'other'; requested 'm'."),
        status(500, "no such repository"),
    ],
)
def test_an_unknown_model_is_an_input_error_that_lists_the_known_ones(step: Step) -> None:
    models: Step = lambda handler: handler.send(200, {"data": [{"id": "llama"}, {"id": "qwen"}]})  # noqa: E731
    with endpoint(step, models=models) as script, pytest.raises(InputError, match=r"'m' is not known.*llama, qwen"):
        ask(script)


def test_an_address_without_chat_completions_is_an_input_error() -> None:
    nothing = status(404, "Not Found")
    with endpoint(nothing, models=nothing) as script, pytest.raises(InputError, match="ends in /v1"):
        ask(script)


def test_the_key_is_left_out_of_what_is_said_about_an_error() -> None:
    with endpoint(verdict(), status(400, f"bad request by {KEY}")) as script:
        _, unanswered = ask(script, 2)
    assert KEY not in str(unanswered)


def test_a_format_is_given_up_only_when_the_endpoint_says_so_and_for_all_questions_after() -> None:
    with endpoint(
        status(400, "response_format of type json_schema is not supported"),
        status(400, "response_format is not supported"),
        verdict(),
    ) as script:
        replies = ask(script, 2)
    formats = [sent.get("response_format", {}).get("type") for sent in script.asked]
    assert formats == ["json_schema", "json_object", None, None]
    assert [found.asked_as for found in replies if isinstance(found, Reply)] == ["none, max_tokens"] * 2


def test_another_refusal_changes_no_format() -> None:
    with endpoint(verdict(), status(400, "the context is too long"), status(500), verdict()) as script:
        ask(script, 3)
    assert {sent["response_format"]["type"] for sent in script.asked} == {"json_schema"}


def test_a_model_that_takes_neither_the_limit_nor_the_temperature_is_asked_without() -> None:
    with endpoint(
        status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        status(400, "'temperature' does not support 0 with this model."),
        verdict(),
    ) as script:
        (found,) = ask(script)
    assert isinstance(found, Reply)
    assert found.asked_as == "json_schema, max_completion_tokens, temperature left out"
    assert "temperature" not in script.asked[-1]
    assert script.asked[-1]["max_completion_tokens"] == 1024
