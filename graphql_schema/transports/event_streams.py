"""Operations as server-sent events, by the protocol of graphql-sse: a stream for each, or one for many.

Lines end with LF alone: some clients split at nothing else.
https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, aclosing
from typing import Any
from uuid import UUID

from core.auth.bearers import Bearer
from graphql_schema.operations import Event, Payload, Rejected, unexpected
from graphql_schema.transports.admission import TOO_MANY_OPERATIONS
from graphql_schema.transports.decoding import BadRequest
from graphql_schema.transports.encoding import encode
from graphql_schema.transports.streaming import cancelled, first_of

CONTENT_TYPE = "text/event-stream; charset=utf-8"
HEARTBEAT = b":\n\n"
TOKEN_HEADER = "x-graphql-event-stream-token"  # noqa: S105 - a header's name
# Events that wait for a client that does not read; then their sources wait as well.
MOST_WAITING = 64
# A reservation that nobody opens is dropped.
RESERVATION_SECONDS = 30.0
NO_SUCH_STREAM = "There is no such stream in this process; reserve one by PUT"
_COMPLETE = b"event: complete\ndata:\n\n"

Begin = Callable[[], Awaitable[AsyncGenerator[Event, None]]]


async def pieces(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    """The events of one operation, each with its cursor as `id`, and the end."""
    async with aclosing(events):
        async for event in events:
            cursor = b"" if event.cursor is None else b"id: %s\n" % event.cursor.encode()
            yield cursor + _event(b"next", event.payload)
    yield _COMPLETE


def whole(payload: Payload) -> bytes:
    """A stream of one response, and the end."""
    return _event(b"next", payload) + _COMPLETE


# The last event of a stream looks the same, whether it tells an error of the operation or of the stream.
farewell = whole


def _event(name: bytes, body: Payload) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name, encode(body))


class EventStream:
    """A stream that carries many operations: reserved, opened once, fed by further requests."""

    def __init__(self, user_id: UUID | None, bearer: Bearer | None, most: int, places: ExitStack) -> None:
        """`bearer` reserved it; `places` is what it takes by being there; closing them ends it."""
        self.user_id = user_id
        self.bearer = bearer
        self.places = places
        self.is_open = False
        self._is_closed = False
        self._most = most
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._operations: dict[str, asyncio.Task[None]] = {}

    def is_bearers(self, bearer: Bearer | None) -> bool:
        """Whether this very token reserved the stream."""
        return bearer is not None and self.bearer is not None and bearer.token == self.bearer.token

    def check(self, operation_id: str) -> None:
        """Raise `BadRequest` unless an operation of this id can be started."""
        if self._is_closed:
            raise BadRequest(404, NO_SUCH_STREAM)
        if operation_id in self._operations:
            raise BadRequest(409, "An operation of this operationId is under way on this stream")
        if len(self._operations) >= self._most:
            message = f"At most {self._most} operations may be under way at once"
            raise BadRequest(429, message, code=TOO_MANY_OPERATIONS)

    def start(
        self, operation_id: str, begin: Begin, ending: Callable[[], Coroutine[Any, Any, Payload]]
    ) -> None:
        """Run an operation whose events go to this stream, until it ends or is stopped.

        `ending` gives its last response where its own token, which may be another than the stream's,
        stops counting.
        """
        self._operations[operation_id] = asyncio.create_task(self._carry_out(operation_id, begin, ending))

    async def stop(self, operation_id: str) -> None:
        """Stop an operation; one that is not under way needs no stopping."""
        task = self._operations.pop(operation_id, None)
        if task is not None:
            await cancelled([task])

    def close(self) -> None:
        """Stop all operations, and start no more."""
        self._is_closed = True
        for task in self._operations.values():
            task.cancel()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What the operations say, without end."""
        while True:
            yield await self._waiting.get()

    def farewell(self, payload: Payload) -> bytes:
        """The last response of each operation under way, and its end."""
        return b"".join(_response(key, payload) + _completion(key) for key in self._operations)

    async def _carry_out(
        self, operation_id: str, begin: Begin, ending: Callable[[], Coroutine[Any, Any, Payload]]
    ) -> None:
        token = asyncio.create_task(ending())
        if await first_of(asyncio.create_task(self._tell(operation_id, begin)), token) == {token}:
            await self._waiting.put(_response(operation_id, token.result()))
        await self._waiting.put(_completion(operation_id))
        # Free before the client can hear of the end.
        self._operations.pop(operation_id, None)

    async def _tell(self, operation_id: str, begin: Begin) -> None:
        try:
            async with aclosing(await begin()) as events:
                async for event in events:
                    await self._waiting.put(_response(operation_id, event.payload))
        except Rejected as error:
            await self._waiting.put(_response(operation_id, error.payload))
        except Exception as error:  # noqa: BLE001 - the operation ends here, and says so
            await self._waiting.put(_response(operation_id, unexpected(error)))


def _response(operation_id: str, payload: Payload) -> bytes:
    return _event(b"next", {"id": operation_id, "payload": payload})


def _completion(operation_id: str) -> bytes:
    return _event(b"complete", {"id": operation_id})


class EventStreams:
    """The reserved and the open streams of this process, by their tokens."""

    def __init__(self) -> None:
        self._streams: dict[str, EventStream] = {}

    def reserve(self, stream: EventStream) -> str:
        """The token of a new stream, which goes by it until its places are closed."""
        token = secrets.token_urlsafe(32)
        self._streams[token] = stream
        stream.places.callback(self._streams.pop, token)
        stream.places.callback(stream.close)
        asyncio.get_running_loop().call_later(RESERVATION_SECONDS, _expire, stream)
        return token

    def get(self, token: str, user_id: UUID | None) -> EventStream | None:
        """The stream of this token, for the user who reserved it."""
        stream = self._streams.get(token)
        return stream if stream is not None and stream.user_id == user_id else None


def _expire(stream: EventStream) -> None:
    if not stream.is_open:
        stream.places.close()
