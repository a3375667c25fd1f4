"""The client of an OpenAI-compatible provider."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from core.errors import ProviderError
from core.logs import get_logger
from core.provider.chunks import NOT_JSON, Chunk, chunk_of, decode_chunk, decode_json, error_message
from core.provider.errors import (
    AnswerTooLarge,
    ProviderDisconnected,
    ProviderNonsense,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnreachable,
)
from core.provider.event_stream import EventStreamParser
from core.provider.prompt import ChatRequest, request_body
from core.settings import Settings

LARGEST_ERROR_BODY = 64 * 1024
LONGEST_ERROR_MESSAGE = 2000
IDLE_CONNECTION_SECONDS = 15
LARGEST_PIECE = 512 * 1024

_HEADERS_OF_A_BODY = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """A model, or an agent, that the provider offers."""

    id: str
    name: str | None


class ProviderClient:
    """Connections to one provider, shared by all runs of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = settings.llm_timeout_seconds
        # Learnt once: servers that refuse `stream_options` are not asked for usage again.
        self._include_usage = True
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[list[Chunk], None]:
        """The answer as it arrives: what one read of the socket completed, at a time.

        Closing the iterator closes the connection to the provider. Raises `ProviderError`: what was
        yielded before it has arrived and counts.
        """
        async with self._open(request) as response:
            if response.headers.get("content-type", "").lower().startswith("application/json"):
                yield [_whole_completion(await _body(response, self._settings.run_max_bytes))]
                return
            async with aclosing(self._chunks(response)) as batches:
                async for chunks in batches:
                    yield chunks

    async def list_models(self) -> list[Model]:
        """The provider's models, in its order. Raises `ProviderError`."""
        async with self._send("GET", "models") as response:
            await _raise_for_status(response)
            body = await _body(response, self._settings.run_max_bytes)
        try:
            data = msgspec.json.decode(body, type=dict[str, Any])["data"]
            if not isinstance(data, list):
                raise TypeError  # noqa: TRY301 - as for each of its items
            return [Model(_model_id(item), _model_name(item)) for item in data]
        except (*NOT_JSON, KeyError, TypeError):
            raise ProviderNonsense("The LLM provider's list of models cannot be understood") from None

    @asynccontextmanager
    async def _open(self, request: ChatRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        while True:
            asked_for_usage = self._include_usage
            # Files make large bodies, and writing those takes long enough to be felt by everybody.
            has_files = any(message.files for message in request.messages)
            if has_files:
                body = await asyncio.to_thread(self._body, request, include_usage=asked_for_usage)
            else:
                body = self._body(request, include_usage=asked_for_usage)
            async with self._send("POST", "chat/completions", body) as response:
                try:
                    await _raise_for_status(response)
                except ProviderRefused as error:
                    if not (asked_for_usage and error.refuses_usage):
                        raise
                    self._include_usage = False
                    continue
                yield response
                return

    def _body(self, request: ChatRequest, *, include_usage: bool) -> bytes:
        body = request_body(
            request,
            system_prompt=self._settings.llm_system_prompt,
            attachment_format=self._settings.llm_attachment_format,
            include_usage=include_usage,
        )
        return msgspec.json.encode(body)

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response, given back on every way out; transport faults become `ProviderError`."""
        if self._session is None:
            self._session = _new_session(self._settings)
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._session.request(
                method,
                f"{self._settings.llm_base_url.rstrip('/')}/{path}",
                # What is larger is written piece by piece, so that it does not hold up the others.
                data=io.BytesIO(body) if body is not None and len(body) > LARGEST_PIECE else body,
                headers=_HEADERS_OF_A_BODY if body is not None else None,
                allow_redirects=False,
            )
            yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._named(error, answered=response is not None) from error
        finally:
            if response is not None:
                response.close()  # one that was read to its end has given its connection back already

    def _named(self, error: Exception, *, answered: bool) -> ProviderError:
        if isinstance(error, TimeoutError):
            return ProviderTimeout(self._timeout)
        if answered:
            return ProviderDisconnected()
        if isinstance(error, aiohttp.ClientResponseError):
            return ProviderNonsense("The LLM provider's answer is not HTTP")
        # A connection that was made and then reset is an OSError, too.
        was_connected = isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
        if was_connected and not isinstance(error, aiohttp.ClientConnectorError):
            return ProviderDisconnected()
        return ProviderUnreachable()

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncGenerator[list[Chunk], None]:
        understood = False
        async with aclosing(self._payloads(response)) as batches:
            async for payloads in batches:
                chunks, done = _decode(payloads)
                error = chunks.pop().error if chunks and chunks[-1].error is not None else None
                if chunks:
                    understood = True
                    yield chunks
                if error is not None:
                    raise ProviderRefused(_shorten(error))
                if done:
                    return
        if not understood:
            raise ProviderNonsense("The LLM provider's answer holds no completion")

    async def _payloads(self, response: aiohttp.ClientResponse) -> AsyncGenerator[list[bytes], None]:
        parser = EventStreamParser()
        taken = 0
        while piece := await response.content.readany():
            taken += len(piece)
            if taken > self._settings.run_max_bytes:
                raise AnswerTooLarge(self._settings.run_max_bytes)
            if payloads := parser.feed(piece):
                yield payloads
        if (last := parser.close()) is not None:
            yield [last]


def _decode(payloads: list[bytes]) -> tuple[list[Chunk], bool]:
    """The chunks up to the end or to the first that is an error, and whether the end was among them."""
    chunks: list[Chunk] = []
    for payload in payloads:
        if payload.strip() == b"[DONE]":
            return chunks, True
        chunk = decode_chunk(payload)
        if chunk is not None:
            chunks.append(chunk)
            if chunk.error is not None:
                break
        elif payload.strip():
            _logger.warning("provider frame skipped: no JSON object", bytes=len(payload))
    return chunks, False


def _new_session(settings: Settings) -> aiohttp.ClientSession:
    headers = {"Accept-Encoding": "identity"}
    if settings.llm_api_key:
        headers["Authorization"] = f"Bearer {settings.llm_api_key}"
    timeout = settings.llm_timeout_seconds
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_SECONDS),
        # One user's cookies must never reach the provider with another user's request.
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout),
        auto_decompress=False,
    )


def _whole_completion(body: bytes) -> Chunk:
    """One JSON completion in place of a stream, as the chunk that a stream would have had."""
    try:
        completion = decode_json(body)
    except NOT_JSON:
        completion = None
    if not isinstance(completion, dict):
        raise ProviderNonsense("The LLM provider's answer is not JSON")
    if completion.get("error"):
        raise ProviderRefused(_shorten(error_message(completion) or "LLM provider error"))
    choices = completion.get("choices")
    if not isinstance(choices, list):
        raise ProviderNonsense("The LLM provider's answer has no choices")
    # Readers look at `delta` only.
    for choice in choices:
        if isinstance(choice, dict) and "message" in choice:
            choice["delta"] = choice.pop("message")
    completion["object"] = "chat.completion.chunk"
    return chunk_of(completion, msgspec.json.encode(completion))


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    while piece := await response.content.readany():
        body += piece
        if len(body) > limit:
            raise AnswerTooLarge(limit)
    return bytes(body)


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if 200 <= response.status < 300:  # noqa: PLR2004
        return
    body = bytearray()
    while piece := await response.content.readany():
        body += piece
        if len(body) > LARGEST_ERROR_BODY:
            break
    text = body.decode("utf-8", "replace")
    raise ProviderRefused(
        _error_sentence(text, response.status),
        refuses_usage=response.status in (400, 422) and ("stream_options" in text or "include_usage" in text),
    )


def _error_sentence(text: str, status: int) -> str:
    try:
        decoded: Any = decode_json(text.encode())
    except NOT_JSON:
        decoded = "" if text.lstrip().startswith("<") else text
    return _shorten(error_message(decoded) or f"The LLM provider answered with HTTP status {status}")


def _shorten(message: str) -> str:
    return message[:LONGEST_ERROR_MESSAGE]


def _model_id(item: Any) -> str:
    identifier = item if isinstance(item, str) else item["id"]
    if not isinstance(identifier, str) or not identifier:
        raise TypeError
    return identifier


def _model_name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None
