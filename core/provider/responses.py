"""What the provider answers, read piece by piece; faults on the way become `ProviderError`."""

from typing import Any

import aiohttp

from core.errors import ProviderError
from core.provider.chunks import NOT_JSON, decode_json, error_message
from core.provider.errors import (
    AnswerTooLarge,
    ProviderDisconnected,
    ProviderNonsense,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnreachable,
)

LARGEST_ERROR_BODY = 64 * 1024
LONGEST_ERROR_MESSAGE = 2000
FAULTS = (aiohttp.ClientError, TimeoutError)


class ProviderResponse:
    """One response of the provider, whose head has come."""

    def __init__(self, response: aiohttp.ClientResponse, timeout: float) -> None:
        self._response = response
        self._read = response.content.readany
        self._timeout = timeout
        content_type = response.headers.get("content-type", "").lower()
        # The body is one JSON value, and not a stream.
        self.is_json = content_type.startswith("application/json")

    async def piece(self) -> bytes:
        """What has come since the last piece; empty at the end. Raises `ProviderError`."""
        try:
            return await self._read()
        except FAULTS as error:
            raise named(error, self._timeout, answered=True) from error

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises `ProviderError`, also for more than `limit` bytes."""
        body = bytearray()
        while piece := await self.piece():
            body += piece
            if len(body) > limit:
                raise AnswerTooLarge(limit)
        return bytes(body)

    async def raise_for_status(self) -> None:
        """Raise `ProviderRefused` with the provider's own words unless the status is a success."""
        status = self._response.status
        if status // 100 == 2:  # noqa: PLR2004
            return
        body = bytearray()
        while len(body) <= LARGEST_ERROR_BODY and (piece := await self.piece()):
            body += piece
        text = body.decode("utf-8", "replace")
        raise ProviderRefused(
            _error_sentence(text, status),
            refuses_usage=status in (400, 422) and ("stream_options" in text or "include_usage" in text),
        )


def named(error: Exception, timeout: float, *, answered: bool) -> ProviderError:
    """What a fault of the transport means to whoever waits; `answered`: the head of a response had come."""
    if isinstance(error, TimeoutError):
        return ProviderTimeout(timeout)
    if answered:
        return ProviderDisconnected()
    if isinstance(error, aiohttp.ClientResponseError):
        return ProviderNonsense("The LLM provider's answer is not HTTP")
    # A connection that was made and then reset is an OSError, too.
    was_connected = isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
    if was_connected and not isinstance(error, aiohttp.ClientConnectorError):
        return ProviderDisconnected()
    return ProviderUnreachable()


def shortened(message: str) -> str:
    """The provider's words, at most as many as are kept."""
    return message[:LONGEST_ERROR_MESSAGE]


def _error_sentence(text: str, status: int) -> str:
    try:
        decoded: Any = decode_json(text.encode())
    except NOT_JSON:
        decoded = "" if text.lstrip().startswith("<") else text
    return shortened(error_message(decoded) or f"The LLM provider answered with HTTP status {status}")
