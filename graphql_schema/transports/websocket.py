"""Operations over one WebSocket, by the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, aclosing, suppress
from typing import Any, NoReturn
from urllib.parse import urlsplit

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.context import Services
from core.errors import Unauthenticated, Unavailable
from core.ids import new_id
from core.logs import bind_ids, forget_ids, get_logger
from core.plain import is_too_deep
from graphql_schema.context import GraphQLContext, open_context
from graphql_schema.errors import refusal, told
from graphql_schema.operations import OperationRequest, Operations, Payload, Rejected, unexpected
from graphql_schema.transports.admission import TOO_MANY_OPERATIONS, Admission, TooManyConnections
from graphql_schema.transports.close_codes import CloseCode
from graphql_schema.transports.decoding import BadRequest, check_size
from graphql_schema.transports.encoding import encode
from graphql_schema.transports.requests import convert_request
from graphql_schema.transports.streaming import begin, cancelled, first_of, token_end

SUBPROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
LONGEST_ID = 128
# What a close frame can hold beside its code, in bytes (RFC 6455, section 5.5).
LONGEST_REASON = 123

_logger = get_logger(__name__)


class Closing(Exception):
    """The connection must end with this code."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WebSocketTransport:
    """Answers the sockets of one path."""

    def __init__(self, operations: Operations, admission: Admission, origins: Sequence[str]) -> None:
        """`origins` are those whose pages may connect, beside this server's own; `*` is any."""
        self._operations = operations
        self._admission = admission
        self._origins = origins

    async def handle(self, websocket: WebSocket) -> None:
        """Serve a socket until it closes."""
        forget_ids()
        bind_ids(request_id=new_id().hex)
        # Some clients put a token there, and the server logs it with the path.
        websocket.scope["query_string"] = b""
        if not self._is_welcome(websocket):
            await websocket.close(CloseCode.FORBIDDEN)  # before the handshake ends: HTTP 403
            return
        code: int | None = None
        try:
            with await self._admission.admit(websocket) as places:
                # Inside: a client that does not read, and so never learns of the end, keeps its place.
                code = await self._serve(websocket, places)
        except TooManyConnections as error:
            code = await _close(websocket, Closing(CloseCode.TRY_AGAIN_LATER, str(error)))
        _logger.info("websocket closed", path=websocket.url.path, code=code)

    async def _serve(self, websocket: WebSocket, places: ExitStack) -> int:
        """The code that the socket was closed with."""
        closing = Closing(CloseCode.INTERNAL_ERROR, "Internal error")
        try:
            await _handshake(websocket)
            await _Session(websocket, self._operations, self._admission, places).run()
        except WebSocketDisconnect as error:
            return error.code
        except Closing as error:
            closing = error
        except (TooManyConnections, Unavailable) as error:
            closing = Closing(CloseCode.TRY_AGAIN_LATER, str(error))
        except Exception:
            _logger.exception("internal error on a WebSocket")
        return await _close(websocket, closing)

    def _is_welcome(self, websocket: WebSocket) -> bool:
        """Whether the page that connects is one of this server's or of an allowed origin.

        Browsers do not ask before they connect to another origin; other clients send no `Origin`.
        """
        origin = websocket.headers.get("origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return True
        with suppress(ValueError):  # what no browser sends
            return urlsplit(origin).netloc.lower() == websocket.headers.get("host", "").lower()
        return False


class _Session:
    """One socket, from its handshake to its end."""

    def __init__(
        self, websocket: WebSocket, operations: Operations, admission: Admission, places: ExitStack
    ) -> None:
        self._websocket = websocket
        self._services: Services = websocket.app.state.services
        self._operations = operations
        self._admission = admission
        self._places = places
        self._authorization: str | None = None
        self._running: set[asyncio.Task[None]] = set()
        # Those of them that the client can stop; the id of one that only tells its end is free.
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve until the client leaves, the token ends or the protocol is broken. Raises how it ends."""
        try:
            async with asyncio.timeout(INIT_SECONDS):
                context = await self._initialise()
        except TimeoutError:
            raise Closing(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout") from None
        try:
            await first_of(asyncio.create_task(self._read()), asyncio.create_task(self._watch_token(context)))
        finally:
            await cancelled(list(self._running))

    async def _initialise(self) -> GraphQLContext:
        """Wait for `connection_init`, and acknowledge it."""
        while True:
            message = await self._receive()
            match message["type"]:
                case "connection_init":
                    context = await self._sign_in(message.get("payload"))
                    await self._send({"type": "connection_ack"})
                    return context
                case "ping":
                    await self._pong(message)
                case "pong":
                    pass
                case "subscribe" | "complete":
                    raise Closing(CloseCode.UNAUTHORIZED, "Unauthorized: send connection_init first")
                case _:
                    _refuse(message)

    async def _sign_in(self, payload: dict[str, Any] | None) -> GraphQLContext:
        # Browsers cannot set headers on a WebSocket: the payload stands in.
        params = {key.lower(): value for key, value in (payload or {}).items()}
        authorization = params.get("authorization", self._websocket.headers.get("authorization"))
        self._authorization = authorization if isinstance(authorization, str) else None
        context = await self._context()
        await self._admission.add_user(self._places, self._websocket, context.user_id)
        return context

    async def _context(self) -> GraphQLContext:
        context = await open_context(self._services, self._authorization)
        try:
            context.check_token()
        except Unauthenticated as error:
            raise Closing(CloseCode.FORBIDDEN, str(error)) from None
        return context

    async def _watch_token(self, context: GraphQLContext) -> NoReturn:
        raise Closing(CloseCode.FORBIDDEN, await token_end(self._services, context.bearer))

    async def _read(self) -> NoReturn:
        while True:
            message = await self._receive()
            match message["type"]:
                case "subscribe":
                    await self._subscribe(message)
                case "complete":
                    task = self._tasks.pop(_id(message), None)
                    if task is not None:
                        await cancelled([task])
                case "ping":
                    await self._pong(message)
                case "pong":
                    pass
                case "connection_init":
                    raise Closing(CloseCode.TOO_MANY, "Too many initialisation requests")
                case _:
                    _refuse(message)

    async def _subscribe(self, message: dict[str, Any]) -> None:
        operation_id = _id(message)
        try:
            asked = convert_request(message.get("payload"))
        except BadRequest as error:
            raise Closing(CloseCode.BAD_REQUEST, str(error)) from None
        if operation_id in self._tasks:
            raise Closing(CloseCode.SUBSCRIBER_EXISTS, f"Subscriber for {operation_id} already exists")
        most = self._services.settings.graphql_max_subscriptions
        if len(self._tasks) >= most:
            refused = refusal(f"At most {most} operations may be under way at once", TOO_MANY_OPERATIONS)
            await self._send({"id": operation_id, "type": "error", "payload": told([refused])})
            return
        task = asyncio.create_task(self._operate(operation_id, asked, await self._context()))
        self._tasks[operation_id] = task
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _operate(self, operation_id: str, asked: OperationRequest, context: GraphQLContext) -> None:
        """Carry out one operation, and tell its events and its end."""
        with suppress(WebSocketDisconnect):  # the reader is told as well
            end = await self._tell_events(operation_id, asked, context)
            self._tasks.pop(operation_id, None)
            await self._send(end)

    async def _tell_events(
        self, operation_id: str, asked: OperationRequest, context: GraphQLContext
    ) -> Payload:
        """Carry out one operation, and tell its events; the message that tells its end."""
        try:
            operation = self._operations.prepare(asked, context)
            async with aclosing(await begin(self._operations, operation, context)) as events:
                async for event in events:
                    await self._send({"id": operation_id, "type": "next", "payload": event.payload})
                    # A source that always has more would else never let the loop read what the client says.
                    await asyncio.sleep(0)
        except Rejected as error:
            return {"id": operation_id, "type": "error", "payload": error.payload["errors"]}
        except WebSocketDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the operation ends here, and says so
            return {"id": operation_id, "type": "error", "payload": unexpected(error)["errors"]}
        return {"id": operation_id, "type": "complete"}

    async def _receive(self) -> dict[str, Any]:
        """The next message. Raises `WebSocketDisconnect`, or `Closing` for what is none."""
        frame = await self._websocket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code", 1005), frame.get("reason"))
        text = frame.get("text")
        if text is None:
            raise Closing(CloseCode.BAD_REQUEST, "Messages must be text")
        try:
            await check_size(text.encode(), self._services.settings)
            message = msgspec.json.decode(text)
        except BadRequest as error:
            raise Closing(CloseCode.BAD_REQUEST, str(error)) from None
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise Closing(CloseCode.BAD_REQUEST, "Messages must be JSON") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Closing(CloseCode.BAD_REQUEST, "Messages must be objects with a `type`")
        payload = message.get("payload")
        if not isinstance(payload, dict | None) or is_too_deep(payload):
            raise Closing(CloseCode.BAD_REQUEST, "The payload must be an object, nested not too deeply")
        return message

    async def _pong(self, ping: dict[str, Any]) -> None:
        payload = ping.get("payload")
        await self._send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})

    async def _send(self, message: Payload) -> None:
        # As text: bytes would become a binary frame, which clients refuse.
        await self._websocket.send_text(encode(message).decode())


async def _handshake(websocket: WebSocket) -> None:
    if SUBPROTOCOL in websocket.scope["subprotocols"]:
        await websocket.accept(SUBPROTOCOL)
        return
    await websocket.accept()
    raise Closing(CloseCode.SUBPROTOCOL, f"Subprotocol not acceptable: use {SUBPROTOCOL}")


async def _close(websocket: WebSocket, closing: Closing) -> int:
    if websocket.application_state.name == "CONNECTING":
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
    reason = closing.reason.encode()[:LONGEST_REASON].decode(errors="ignore")
    await websocket.close(closing.code, reason)
    return closing.code


def _id(message: dict[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= LONGEST_ID:
        raise Closing(CloseCode.BAD_REQUEST, f"The id must be a text of 1 to {LONGEST_ID} characters")
    return operation_id


def _refuse(message: dict[str, Any]) -> NoReturn:
    raise Closing(CloseCode.BAD_REQUEST, f"There are no messages of type `{message['type'][:32]}`")
