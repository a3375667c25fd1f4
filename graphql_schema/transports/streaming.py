"""Responses that stay open: they end with their source, their client or the token they were opened with."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import ExitStack, aclosing
from typing import Any, Protocol

from graphql import OperationType
from starlette.types import Receive, Scope, Send

from core.auth.bearers import Bearer
from core.context import Services
from core.errors import Unauthenticated
from core.resolvers.bearers import until_revoked
from core.signals import shutdown_topic
from graphql_schema.context import GraphQLContext
from graphql_schema.errors import refusal, told
from graphql_schema.operations import Event, Operation, Operations, Payload

# Proxies must neither buffer nor rewrite a stream; X-Accel-Buffering is nginx's word for it.
STREAM_HEADERS = [(b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no")]


class Codec(Protocol):
    """How a format writes the events of one operation."""

    CONTENT_TYPE: str
    HEARTBEAT: bytes

    def pieces(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
        """The events, each at once, and the end."""
        ...

    def whole(self, payload: Payload) -> bytes:
        """A stream of one response, and the end."""
        ...

    def farewell(self, payload: Payload) -> bytes:
        """The last event of a stream that is under way, and the end."""
        ...


class StreamResponse:
    """Sends pieces, each at once, until their source ends, the client leaves or the token stops counting."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        content_type: str,
        heartbeat: bytes,
        heartbeat_seconds: float,
        ending: Coroutine[Any, Any, Payload],
        farewell: Callable[[Payload], bytes],
        places: ExitStack,
    ) -> None:
        """`heartbeat` fills silences; `farewell` makes the last words of the payload that `ending` gives.

        `places` is closed at the end: what this response took by being open.
        """
        self._pieces = pieces
        self._headers = [(b"content-type", content_type.encode()), *STREAM_HEADERS]
        self._heartbeat = heartbeat
        self._heartbeat_seconds = heartbeat_seconds
        self._ending = ending
        self._farewell = farewell
        self._places = places
        self._sent_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        del scope
        with self._places:
            await self._respond(receive, send)

    async def _respond(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        pump = asyncio.create_task(self._pump(send))
        token = asyncio.create_task(self._last_words())
        # A server's `send` says nothing after a disconnect, so that has to be watched for.
        left = asyncio.create_task(_until_disconnect(receive))
        beat = asyncio.create_task(self._beat(send))
        done = await first_of(pump, token, left, beat)
        if done == {token}:
            await self._send(send, token.result())
        if left not in done:
            await send({"type": "http.response.body", "body": b""})

    async def _pump(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await self._send(send, piece)
                # A source that always has more would else never let the loop see that the client left.
                await asyncio.sleep(0)

    async def _last_words(self) -> bytes:
        return self._farewell(await self._ending)

    async def _beat(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        while True:
            silent_for = loop.time() - self._sent_at
            if silent_for >= self._heartbeat_seconds:
                await self._send(send, self._heartbeat)
                silent_for = 0.0
            await asyncio.sleep(self._heartbeat_seconds - silent_for)

    async def _send(self, send: Send, piece: bytes) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def first_of(*tasks: "asyncio.Task[Any]") -> "set[asyncio.Task[Any]]":
    """The tasks that ended first; the others are cancelled, and have ended, too. Raises what any raised."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(tasks)
    # Of all, lest one is told of as forgotten.
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in errors:
        if error is not None:
            raise error
    return done


async def cancelled(tasks: "Sequence[asyncio.Task[Any]]") -> None:
    """Cancel all of these, and return once they have ended."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def begin(
    operations: Operations, operation: Operation, context: GraphQLContext
) -> AsyncGenerator[Event, None]:
    """The events of any operation; those of a query or a mutation are its one response. Raises `Rejected`."""
    if operation.kind is OperationType.SUBSCRIPTION:
        return await operations.subscribe(operation, context)
    return _once(Event(await operations.execute(operation, context), None))


async def token_end(services: Services, bearer: Bearer | None) -> str:
    """Why a token stopped counting, once it has; without a token, never."""
    if bearer is None:
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never
    return await until_revoked(services.context(None), bearer)


async def token_ending(services: Services, bearer: Bearer | None) -> Payload:
    """As `token_end`, as the last payload of a stream."""
    return _last(await token_end(services, bearer), Unauthenticated.code)


async def token_ending_or_shutdown(services: Services, *bearers: Bearer | None) -> Payload:
    """As `token_ending` of any of these, or when the server stops: for streams without end."""
    apart = {bearer.token if bearer else None: bearer for bearer in bearers}
    endings = [asyncio.create_task(token_ending(services, bearer)) for bearer in apart.values()]
    done = await first_of(*endings, asyncio.create_task(_shutdown(services)))
    payload: Payload = next(iter(done)).result()
    return payload


async def _shutdown(services: Services) -> Payload:
    with services.signals.listen(shutdown_topic()) as listener:
        while not services.runs.is_draining:
            await listener.wait()
    return _last("The server is shutting down; connect again", "SHUTTING_DOWN")


def _last(reason: str, code: str) -> Payload:
    return {"errors": told([refusal(reason, code)])}


async def _once(event: Event) -> AsyncGenerator[Event, None]:
    yield event


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
