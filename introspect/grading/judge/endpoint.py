"""An OpenAI-compatible endpoint as the judge. Questions go in, replies as they were come out.

The first question is asked alone, so that a wrong key, url or model stops everything before anything is paid for.
"""

import asyncio
import json
from typing import Any

from introspect.errors import InputError
from introspect.grading.judge.dialect import Dialect
from introspect.grading.judge.judge_settings import JudgeSettings
from introspect.grading.judge.pacing import REQUEST_TRIES, JudgePace
from introspect.grading.judge.refusals import REDIRECTS, StoppedError, explained, failure, is_passing, said
from introspect.grading.judge.replies import JudgeQuestion, Reply, Unanswered

try:
    import httpx
    import openai

    from introspect.grading.judge.capped import Capped
except ImportError:
    raise InputError("--judge-url needs a client: pip install 'introspect-loops[llm]'") from None

FAILURES = 10
"""Questions in a row that may stay without a reply before the judge gives up."""


FIRST_TRIES = 4
"""Tries of the first question: an endpoint that never answers is sooner found out."""


class Endpoint:
    """A judge behind a url."""

    def __init__(self, settings: JudgeSettings, *, key: str | None, pace: JudgePace | None = None) -> None:
        """Connect to nothing yet; without a key none is sent that means anything."""
        assert settings.url is not None, "an endpoint has a url"
        self._settings, self._key, self._pace = settings, key, pace or JudgePace()
        # tries and time are kept here, so that a try is limited as a whole and one wait holds back all
        http = httpx.AsyncClient(transport=Capped(), timeout=None, follow_redirects=False)
        own = {"base_url": settings.url, "timeout": None, "max_retries": 0}
        self._client = openai.AsyncOpenAI(api_key=key or "none", http_client=http, **own)  # type: ignore[arg-type]
        self._dialect = Dialect()
        self._alone = asyncio.Lock()
        self._known: list[str] | None = None
        self._answered, self._failed_in_a_row = False, 0

    @property
    def identity(self) -> str:
        """Name the model as it is asked for."""
        return self._settings.model

    async def ask(self, question: JudgeQuestion) -> Reply:
        """Ask until there is a reply. Raises Unanswered for this question, InputError or StoppedError for all."""
        if not self._answered:
            async with self._alone:
                if not self._answered:
                    await self._look_around()
                    return await self._counted(question)
        return await self._counted(question)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _look_around(self) -> None:
        """Ask which models there are; what says neither yes nor no is left to the first question."""
        if self._known is not None:
            return
        try:
            async with asyncio.timeout(self._settings.timeout):
                listed = await self._client.models.with_raw_response.list()
            models = json.loads(listed.http_response.text)["data"]
            self._known = [str(model["id"]) for model in models]
        except (openai.APIStatusError, openai.APIConnectionError) as error:
            status = getattr(error, "status_code", None)
            if status is None or status in (401, *REDIRECTS):
                if refusal := explained(error, self._settings, key=self._key, known=[], first=True):
                    raise refusal from None
            else:
                self._known = []
        except (TimeoutError, ValueError, LookupError, TypeError):
            self._known = []

    async def _counted(self, question: JudgeQuestion) -> Reply:
        """Ask, and count the questions in a row that stay without a reply."""
        try:
            tries = REQUEST_TRIES if self._answered else FIRST_TRIES
            reply = await self._pace.tried(lambda: self._once(question), is_passing, tries=tries)
        except (openai.OpenAIError, TimeoutError, json.JSONDecodeError) as error:
            known, first = self._known or [], not self._answered
            if refusal := explained(error, self._settings, key=self._key, known=known, first=first):
                raise refusal from None
            self._failed_in_a_row += 1
            state, why = failure(error, self._settings, key=self._key)
            if self._failed_in_a_row >= FAILURES or (first and is_passing(error)):
                asked = "the first question" if first else f"{self._failed_in_a_row} questions in a row"
                raise StoppedError(f"{self._settings.url}: gave up after {asked} without a reply: {why}") from None
            raise Unanswered(state, why) from None
        self._answered, self._failed_in_a_row = True, 0
        return reply

    async def _once(self, question: JudgeQuestion) -> Reply:
        """Make one call, and more where the endpoint says that it does not support what was asked for."""
        while True:
            dialect = self._dialect
            try:
                async with asyncio.timeout(self._settings.timeout):
                    return self._reply(await self._called(dialect.arguments(question, self._settings)), dialect)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                lesser = dialect.conceding(said(error))
                if lesser is None:
                    raise
                if self._dialect == dialect:  # another call may have learnt it meanwhile
                    self._dialect = lesser

    async def _called(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON of a reply. Raises JSONDecodeError where it is none, or has no message. Any: JSON."""
        answer = await self._client.chat.completions.with_raw_response.create(**arguments)
        text = answer.http_response.text
        try:
            body = json.loads(text)
            choice = body["choices"][0]
            assert isinstance(choice["message"], dict), "a message has fields"
        except (ValueError, RecursionError, LookupError, TypeError, AssertionError):
            raise json.JSONDecodeError("no chat completion", text, 0) from None
        return dict(body)

    def _reply(self, body: dict[str, Any], dialect: Dialect) -> Reply:
        choice, usage = body["choices"][0], body.get("usage")
        counts = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens")]
        return Reply(
            content=_content(choice["message"]),
            refusal=_text(choice["message"], "refusal"),
            finish_reason=_text(choice, "finish_reason"),
            prompt_tokens=counts[0],
            completion_tokens=counts[1],
            cost=self._settings.cost(*counts),
            model=_text(body, "model"),
            asked_as=str(dialect),
        )


def _content(message: dict[str, Any]) -> str | None:  # Any: JSON
    """Return what was written, also where it comes as a list of parts."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return _text(message, "content")
    texts = [_text(part, "text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if text is not None) or None


def _text(fields: dict[str, Any], name: str) -> str | None:
    """Return a text as it can be stored; half of a surrogate pair is written out."""
    value = fields.get(name)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else None


def _count(usage: Any, name: str) -> int | None:  # Any: JSON
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**53 else None
