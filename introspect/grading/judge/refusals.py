"""What an endpoint's errors mean: try again, an error of the user, the end of all asking, or one answer ungraded."""

import json
import re
from typing import Any
from urllib.parse import quote

import openai

from introspect.errors import InputError
from introspect.grading.judge.capped import TooLargeError
from introspect.grading.judge.judge_settings import KEYS, JudgeSettings

_SHOWN = 200
"""Characters shown of what an endpoint says."""
UNKNOWN_MODEL = re.compile(
    r"\bmodel\b.*(?:not found|not exist|not available|not a valid|unknown)|(?:unknown|invalid|no such) model|pinned to",
    re.IGNORECASE | re.DOTALL,
)
REDIRECTS = (301, 302, 303, 307, 308)
"""Answers that name another address: the key and the answers of a run go only where the user said."""
LISTED = 8
"""Models named of those that an endpoint lists."""


class StoppedError(ConnectionError):
    """The endpoint will not answer any more now; what was graded is kept."""


def is_passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    if isinstance(error, openai.RateLimitError):
        return not _out_of_quota(error)
    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 425) or error.status_code >= 500
    if isinstance(error.__cause__, TooLargeError):
        return False
    return isinstance(error, openai.APIConnectionError | TimeoutError | json.JSONDecodeError)


def explained(
    error: Exception, settings: JudgeSettings, *, key: str | None, known: list[str], first: bool
) -> Exception | None:
    """Return the error that ends the asking, None where only this question stays without a reply.

    `known` are the models that the endpoint lists; `first`: nothing has been answered yet.
    """
    url, status = settings.url, getattr(error, "status_code", None)
    if status in REDIRECTS:
        where = _clean(getattr(error, "response").headers.get("location", "nowhere"), key)  # noqa: B009 - not of all
        return InputError(f"--judge-url {url}: it redirects to {where}; if that is meant, give that address")
    if status == 401 or (status == 403 and first):
        needs = "does not take the key" if key else "wants a key"
        return InputError(f"--judge-url {url}: the endpoint {needs} (HTTP {status}); set {KEYS[0]}")
    if status == 402 or (isinstance(error, openai.RateLimitError) and _out_of_quota(error)):
        return StoppedError(f"{url}: the account's quota is used up: {_clean(said(error), key)}")
    if _unknown_model(error, settings.model, known, first):
        listed = _clean(", ".join(known[:LISTED]), key) + (", ..." if len(known) > LISTED else "")
        models = f"; it lists {listed}" if known else ""
        words = f"HTTP {status}: {_clean(said(error), key)}"
        return InputError(f"--judge-model {settings.model!r} is not known at {url} ({words}){models}")
    if status in (404, 405):
        return InputError(f"--judge-url {url}: no chat completions there (HTTP {status}); it often ends in /v1")
    if first and isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        return InputError(f"--judge-url {url}: cannot be reached ({_cause(error, key)}); is the server running?")
    return None


def failure(error: Exception, settings: JudgeSettings, *, key: str | None) -> tuple[str, str]:
    """Return the state of a grade that got no reply, and why."""
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return "timed-out", f"no reply within {settings.timeout:g} s"
    if isinstance(error, openai.APIConnectionError):
        return "error", f"the connection failed: {_cause(error, key)}"
    if isinstance(error, json.JSONDecodeError):
        return "error", f"the endpoint's reply is no chat completion: {_clean(error.doc, key)}"
    return "error", f"HTTP {getattr(error, 'status_code', '?')}: {_clean(said(error), key)}"


def said(error: Exception) -> str:
    """Return what the endpoint says about a request that it refuses."""
    body: Any = getattr(error, "body", None)  # Any: JSON
    if isinstance(body, dict):
        for name in ("message", "detail", "error"):
            if body.get(name):
                return str(body[name])
    return str(body or error)


def _unknown_model(error: Exception, model: str, known: list[str], first: bool) -> bool:
    status = getattr(error, "status_code", None)
    if status in (400, 404, 422):
        return getattr(error, "code", None) == "model_not_found" or (first and bool(UNKNOWN_MODEL.search(said(error))))
    return first and status is not None and status >= 500 and bool(known) and model not in known


def _out_of_quota(error: openai.RateLimitError) -> bool:
    return error.code == "insufficient_quota"


def _cause(error: Exception, key: str | None) -> str:
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    return _clean(str(inner) or type(inner).__name__, key)


def _clean(text: str, key: str | None) -> str:
    """Shorten a foreign text to one line, and leave the key out, also as JSON, Python or a url would write it."""
    line = " ".join(text.split())
    for form in (
        () if not key else (key, json.dumps(key)[1:-1], repr(key)[1:-1], repr(json.dumps(key))[2:-2], quote(key))
    ):
        line = line.replace(form, "***")
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
