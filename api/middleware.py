"""What happens to every request, before and after any route. Pure ASGI: streams pass untouched."""

import asyncio
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.ids import new_id
from core.logs import bind_ids, forget_ids, get_logger

_logger = get_logger("access")

LEAST_BYTES_PER_SECOND = 10_000
INTERNAL_ERROR = JSONResponse({"detail": "Internal Server Error"}, 500)


class RequestLog:
    """Gives each request an id, in every log line and in `X-Request-Id`, and logs its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id().hex
        forget_ids()
        bind_ids(request_id=request_id)
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _logger.exception("internal error")
            if status:
                raise  # the answer has begun: only the connection's end can tell
            await INTERNAL_ERROR(scope, receive, send_with_id)
        finally:
            _logger.info(
                "request",
                method=scope["method"],
                # The path alone: a query may hold what is nobody's business.
                path=scope["path"],
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )


class BodyLimit:
    """Refuses bodies of more than `limit` bytes with 413, declared or not, and slow ones with 408.

    The refusal is `detail`, as of REST, or on `graphql_path` an error with a code, as of GraphQL.
    Slow is a silence of more than `timeout` seconds between two pieces, or a whole for which the
    application waits longer than `timeout` plus a second for each `LEAST_BYTES_PER_SECOND` that arrived.
    """

    def __init__(self, app: ASGIApp, *, limit: int, timeout: float, graphql_path: str) -> None:
        self._app = app
        self._limit = limit
        self._timeout = timeout
        self._graphql_path = graphql_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting and timing its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await self._refuse(scope, send, _too_large(self._limit))
            return
        exchange = _Exchange(receive, send, limit=self._limit, timeout=self._timeout)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except _Refusal as refusal:
            if not exchange.answered:
                await self._refuse(scope, send, refusal)

    async def _refuse(self, scope: Scope, send: Send, refusal: "_Refusal") -> None:
        content: dict[str, object] = {"detail": refusal.detail}
        if scope["path"] == self._graphql_path:
            content = {"errors": [{"message": refusal.detail, "extensions": {"code": refusal.code}}]}
        answer = JSONResponse(content, refusal.status, {"Connection": "close"})
        await send({"type": "http.response.start", "status": refusal.status, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": answer.body})


class _Exchange:
    """One request and its answer."""

    def __init__(self, receive: Receive, send: Send, *, limit: int, timeout: float) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._timeout = timeout
        self._received = 0
        self._waited = 0.0
        self._complete = False
        self.answered = False

    async def receive(self) -> Message:
        """The next message. Raises `_Refusal` if the body is too large or too slow."""
        # An application that has begun to answer only waits for its client to leave.
        message = await (self._receive() if self._complete or self.answered else self._receive_in_time())
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._received > self._limit:
                raise _too_large(self._limit)
        return message

    async def send(self, message: Message) -> None:
        """Send, noting that the answer has begun."""
        self.answered = True
        await self._send(message)

    async def _receive_in_time(self) -> Message:
        allowed = self._timeout + self._received / LEAST_BYTES_PER_SECOND
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(self._timeout, allowed - self._waited)):
                return await self._receive()
        except TimeoutError:
            if self.answered:
                return await self._receive()
            raise _too_slow(self._timeout) from None
        finally:
            self._waited += time.monotonic() - began


# Not an Exception: the framework answers those of a body with 400.
class _Refusal(BaseException):
    """The body is not what it may be."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def _too_large(limit: int) -> _Refusal:
    return _Refusal(413, "BODY_TOO_LARGE", f"The request body is larger than {limit} bytes")


def _too_slow(timeout: float) -> _Refusal:
    return _Refusal(
        408,
        "BODY_TOO_SLOW",
        f"The request body arrives too slowly: no pause in it may be longer than {timeout:g} seconds, "
        f"and it may take that long in all, plus a second for each {LEAST_BYTES_PER_SECOND} bytes",
    )
