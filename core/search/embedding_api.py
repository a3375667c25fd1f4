"""Vectors from any OpenAI-compatible `/v1/embeddings`."""

import asyncio
import base64
import binascii
import random
from collections.abc import Sequence
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import aiohttp
import httpx
import msgspec
import numpy as np
from httpx_aiohttp import AiohttpTransport
from numpy.typing import NDArray

from core.logs import get_logger
from core.search.embedding_errors import BatchRefused, EmbeddingUnavailable
from core.settings import Settings

LARGEST_ERROR_BODY = 64 * 1024
# 8,192 dimensions as JSON numbers.
LARGEST_VECTOR_BODY = 256 * 1024
IDLE_CONNECTION_SECONDS = 15
QUERY_TIMEOUT_SECONDS = 10.0
# Tries of one request, and how long one wait between them may be: somebody waits for a query.
PASSAGE_TRIES, LONGEST_PASSAGE_WAIT = 4, 30.0
QUERY_TRIES, LONGEST_QUERY_WAIT = 2, 1.0
_FIRST_WAIT = 0.25
# Beyond this, reading an answer would be felt by all whom the event loop serves.
_READ_IN_A_THREAD = 128 * 1024

_BUSY = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
# One bad text may be the reason of these, even of the last: servers fail on NaN or on their buffers.
_PERHAPS_THE_TEXT = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
_SPEAKS_OF_LENGTH = ("context", "too long", "too large", "length", "tokens", "exceed")

_logger = get_logger(__name__)


class _Item(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]


class ApiBackend:
    """Connections to one embeddings API, shared by all who ask."""

    def __init__(self, settings: Settings) -> None:
        self._model = settings.embedding_model_name
        self._timeout = settings.embedding_timeout_seconds
        # Learnt once: servers that refuse base64 are asked for numbers.
        self._base64 = True
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if settings.embedding_api_key:
            headers["Authorization"] = f"Bearer {settings.embedding_api_key}"
        self._http = httpx.AsyncClient(
            transport=AiohttpTransport(client=_new_session),
            headers=headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self._url = _endpoint(settings.embedding_api_base or "")

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def embed(self, texts: Sequence[str], *, urgent: bool) -> NDArray[np.float32]:
        """A row for each text. Raises `EmbeddingUnavailable` and `BatchRefused`."""
        tries = QUERY_TRIES if urgent else PASSAGE_TRIES
        longest_wait = LONGEST_QUERY_WAIT if urgent else LONGEST_PASSAGE_WAIT
        for attempt in range(tries):
            status, retry_after, body = await self._post(texts, urgent=urgent)
            if status == HTTPStatus.OK:
                return await self._vectors(body, len(texts))
            if self._base64 and status in _PERHAPS_THE_TEXT and b"encoding_format" in body:
                self._base64 = False
                return await self.embed(texts, urgent=urgent)
            refusal = _refusal(status, body)
            wait = _FIRST_WAIT * 2**attempt * random.uniform(1, 2)  # noqa: S311 - not a secret
            wait = wait if retry_after is None else retry_after
            if attempt == tries - 1 or wait > longest_wait or not _may_pass(status, refusal, len(texts)):
                raise refusal
            _logger.info("embeddings API is busy", status=status, wait_seconds=round(wait, 2))
            await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    async def _post(self, texts: Sequence[str], *, urgent: bool) -> tuple[int, float | None, bytes]:
        """Status, Retry-After in seconds, and body; transport faults become `EmbeddingUnavailable`."""
        request: dict[str, object] = {"model": self._model, "input": texts}
        if self._base64:
            request["encoding_format"] = "base64"
        timeout = min(self._timeout, QUERY_TIMEOUT_SECONDS) if urgent else self._timeout
        try:
            async with (
                asyncio.timeout(timeout),
                self._http.stream(
                    "POST",
                    self._url,
                    content=msgspec.json.encode(request),
                    timeout=httpx.Timeout(timeout, pool=None),
                ) as response,
            ):
                limit = LARGEST_VECTOR_BODY * len(texts) if response.is_success else LARGEST_ERROR_BODY
                body = await _body(response, limit)
                return response.status_code, _seconds(response.headers.get("retry-after")), body
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, TimeoutError) as error:
            if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
                raise EmbeddingUnavailable(
                    f"The embeddings API did not answer within {timeout:g} seconds"
                ) from error
            raise EmbeddingUnavailable("The embeddings API cannot be reached") from error

    async def _vectors(self, body: bytes, texts: int) -> NDArray[np.float32]:
        if len(body) > _READ_IN_A_THREAD:
            return await asyncio.to_thread(_decoded, body, texts)
        return _decoded(body, texts)


def _new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _endpoint(base: str) -> str:
    """Where to post: as with OpenAI's clients, but a server's bare address will do, too."""
    base = base.rstrip("/")
    if not urlsplit(base).path:
        base += "/v1"
    return base if base.endswith("/embeddings") else f"{base}/embeddings"


async def _body(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > limit:
            if response.is_success:
                raise EmbeddingUnavailable("The answer of the embeddings API is too large to be vectors")
            break
    return bytes(body)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After as a number; a date, which these servers do not send, counts as none."""
    try:
        return min(max(float(retry_after or ""), 0.0), 1e9)
    except ValueError:
        return None


def _decoded(body: bytes, texts: int) -> NDArray[np.float32]:
    """The rows of an answer in the order of the texts. Raises `BatchRefused` for what is none."""
    try:
        items = msgspec.json.decode(body, type=_Answer).data
        if all(item.index is not None for item in items):
            items.sort(key=lambda item: item.index or 0)
            if [item.index for item in items] != list(range(texts)):
                raise BatchRefused
        rows = [_row(item.embedding) for item in items]
        vectors = np.array(rows, np.float32) if len(rows) == texts else None
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError, OverflowError):
        raise BatchRefused from None
    if vectors is None:
        raise BatchRefused
    return vectors


def _row(embedding: list[float] | str) -> NDArray[np.float32]:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    with np.errstate(over="ignore"):  # what becomes infinite is refused with all that has no direction
        return np.array(embedding, np.float32)


def _may_pass(status: int, refusal: EmbeddingUnavailable | BatchRefused, texts: int) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(refusal, EmbeddingUnavailable):
        return status in _BUSY
    # A failing batch is split, which is another try; a single text would be given up.
    return status == HTTPStatus.INTERNAL_SERVER_ERROR and texts == 1 and not refusal.too_long


def _refusal(status: int, body: bytes) -> EmbeddingUnavailable | BatchRefused:
    if status in _PERHAPS_THE_TEXT:
        said = body.decode("utf-8", "replace").lower()
        too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return BatchRefused(too_long=too_large or any(word in said for word in _SPEAKS_OF_LENGTH))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return EmbeddingUnavailable("The embeddings API does not accept the key; see CHAT_EMBEDDING_API_KEY")
    if status == HTTPStatus.NOT_FOUND:
        return EmbeddingUnavailable(
            "The embeddings API knows no such address or model; see CHAT_EMBEDDING_API_BASE and"
            " CHAT_EMBEDDING_MODEL_NAME"
        )
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return EmbeddingUnavailable("The embeddings API is busy, or still starts; try again soon")
    return EmbeddingUnavailable(f"The embeddings API answered with HTTP status {status}")
