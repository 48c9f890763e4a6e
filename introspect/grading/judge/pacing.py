"""When an endpoint is asked, and asked again: what it asks to wait holds back all calls, failed ones wait longer each.

Goes in: a call. Comes out: its result, or the error of the last try. Tenacity does the tries.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

_Result = TypeVar("_Result")

REQUEST_TRIES = 7
"""How often one call is tried."""
HOPELESS = 3
"""A call that takes too long, or gives what is no reply, is the last one from this try on: the next would do so too."""

_LONGEST = 900.0
"""Seconds that an endpoint may ask to wait; one that asks for more is not asked again."""


class JudgePace:
    """Shared by all calls to an endpoint."""

    def __init__(self, first: float = 1.0) -> None:
        """Take the seconds up to which the wait after the first try is drawn; it doubles with every try, to 60."""
        self._backoff = wait_random_exponential(multiplier=first, max=60)
        self._held_until = 0.0

    async def tried(
        self,
        call: Callable[[], Awaitable[_Result]],
        again: Callable[[BaseException], bool],
        *,
        tries: int = REQUEST_TRIES,
    ) -> _Result:
        """Make a call until it succeeds, the tries are used up, or an error comes that `again` says is final."""
        trying = AsyncRetrying(
            stop=lambda state: _enough(state, tries),
            wait=self._wait,
            retry=retry_if_exception(lambda error: again(error) and (asked_to_wait(error) or 0) <= _LONGEST),
            reraise=True,
        )

        async def once() -> _Result:
            while (left := self._held_until - time.monotonic()) > 0:
                await asyncio.sleep(left)
            return await call()

        return await trying(once)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = asked_to_wait(error)
        if asked is None:
            return self._backoff(state)
        self._held_until = max(self._held_until, time.monotonic() + asked)
        return asked


def _enough(state: RetryCallState, tries: int) -> bool:
    hopeless = state.outcome is not None and isinstance(state.outcome.exception(), TimeoutError | JSONDecodeError)
    return state.attempt_number >= (min(tries, HOPELESS) if hopeless else tries)


def asked_to_wait(error: BaseException | None) -> float | None:
    """Return the seconds that the response of an error asks to wait; None where it does not.

    `retry-after-ms`, which OpenAI and Azure send beside `retry-after`, is the finer of the two.
    """
    response = getattr(error, "response", None)
    headers = {} if response is None else response.headers
    milliseconds = headers.get("retry-after-ms", "")
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", milliseconds):
        return float(milliseconds) / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds == seconds else None
