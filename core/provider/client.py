"""The client of an OpenAI-compatible provider."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from core.provider.chat_stream import ChatStream
from core.provider.chunks import NOT_JSON
from core.provider.errors import ProviderNonsense, ProviderRefused
from core.provider.prompt import ChatRequest, request_body
from core.provider.responses import FAULTS, ProviderResponse, named
from core.settings import Settings

IDLE_CONNECTION_SECONDS = 15
LARGEST_PIECE = 512 * 1024

_HEADERS_OF_A_BODY = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model, or an agent, that the provider offers."""

    id: str
    name: str | None


class ProviderClient:
    """Connections to one provider, shared by all runs of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Learnt once: servers that refuse `stream_options` are not asked for usage again.
        self._include_usage = True
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def stream_chat(self, request: ChatRequest) -> AsyncIterator[ChatStream]:
        """The answer, whose connection is closed on every way out. Raises `ProviderError`."""
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
                    await response.raise_for_status()
                except ProviderRefused as error:
                    if not (asked_for_usage and error.refuses_usage):
                        raise
                    self._include_usage = False
                    continue
                yield ChatStream(response, self._settings.run_max_bytes)
                return

    async def list_models(self) -> list[Model]:
        """The provider's models, in its order. Raises `ProviderError`."""
        async with self._send("GET", "models") as response:
            await response.raise_for_status()
            body = await response.body(self._settings.run_max_bytes)
        try:
            data = msgspec.json.decode(body, type=dict[str, Any])["data"]
            if not isinstance(data, list):
                raise TypeError  # noqa: TRY301 - as for each of its items
            return [Model(_model_id(item), _model_name(item)) for item in data]
        except (*NOT_JSON, KeyError, TypeError):
            raise ProviderNonsense("The LLM provider's list of models cannot be understood") from None

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
    ) -> AsyncIterator[ProviderResponse]:
        """The response, closed on every way out."""
        if self._session is None:
            self._session = _new_session(self._settings)
        timeout = self._settings.llm_timeout_seconds
        try:
            response = await self._session.request(
                method,
                f"{self._settings.llm_base_url.rstrip('/')}/{path}",
                # What is larger is written piece by piece, so that it does not hold up the others.
                data=io.BytesIO(body) if body is not None and len(body) > LARGEST_PIECE else body,
                headers=_HEADERS_OF_A_BODY if body is not None else None,
                allow_redirects=False,
            )
        except FAULTS as error:
            raise named(error, timeout, answered=False) from error
        try:
            yield ProviderResponse(response, timeout)
        finally:
            response.close()  # one that was read to its end has given its connection back already


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


def _model_id(item: Any) -> str:
    identifier = item if isinstance(item, str) else item["id"]
    if not isinstance(identifier, str) or not identifier:
        raise TypeError
    return identifier


def _model_name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None
