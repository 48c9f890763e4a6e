"""A transport for the client of a judge that reads no reply beyond a size: 300 MB would take five times the memory."""

from collections.abc import AsyncIterator

import httpx

_MOST_BYTES = 4_000_000
"""Of one reply; a verdict has some hundred, a list of models some hundred thousand."""
MOST_PACKED = _MOST_BYTES // 64
"""Of one that comes compressed, though none is asked for: it may grow to a thousand times as much."""


class TooLargeError(Exception):
    """A reply that was not read to its end."""


class Capped(httpx.AsyncHTTPTransport):
    """The usual transport, with an end."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and give the reply, whose reading fails beyond the size."""
        request.headers["accept-encoding"] = "identity"
        response = await super().handle_async_request(request)
        packed = response.headers.get("content-encoding", "identity") != "identity"
        assert isinstance(response.stream, httpx.AsyncByteStream), "an asynchronous client has asynchronous replies"
        response.stream = _Stream(response.stream, MOST_PACKED if packed else _MOST_BYTES)
        return response


class _Stream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, most: int) -> None:
        self._inner, self._most = inner, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > self._most:
                raise TooLargeError(f"a reply of more than {self._most} bytes")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
