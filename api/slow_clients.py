"""Deadlines for clients that say nothing, or take nothing: uvicorn itself would wait for them for ever."""

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from core.logs import get_logger

LARGEST_HEAD = 64 * 1024
_TOO_SLOW = b'{"detail":"The head of the request did not arrive in time"}'
_TOO_LARGE = b'{"detail":"The head of the request is larger than %d bytes"}' % LARGEST_HEAD


_logger = get_logger(__name__)


def protocol_with_deadlines(head: float, send: float) -> type[HttpToolsProtocol]:
    """A protocol for uvicorn that closes connections of clients that are too slow; times in seconds.

    `head`: how long the head of the next request may take. The time begins with the connection, later with
    the first byte after an answer; silence after an answer is uvicorn's own `timeout_keep_alive`.
    `send`: how long the buffer of an answer may stay full, of which the transport wants to be rid.
    """

    class Protocol(_Deadlines):
        header_seconds = head
        send_seconds = send

    return Protocol


class _Deadlines(HttpToolsProtocol):
    header_seconds: ClassVar[float]
    send_seconds: ClassVar[float]
    _deadline: asyncio.TimerHandle | None = None
    _send_deadline: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._waits_for_request():
            self._clear_deadline()
        elif self._deadline is None:
            self._set_deadline()
        self._head_size = self._head_size + len(data) if self._is_in_head() else 0
        if self._head_size > LARGEST_HEAD:
            self._refuse(431, _TOO_LARGE)

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        # An upgrade that it cannot read, such as one with a body, it leaves without an answer.
        if isinstance(protocol, WebSocketsSansIOProtocol) and not protocol.handshake_initiated:
            self.send_400_response("Invalid WebSocket upgrade received.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_send_deadline()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_deadline = self.loop.call_later(self.send_seconds, self._let_go)

    def resume_writing(self) -> None:
        self._clear_send_deadline()
        super().resume_writing()

    def _clear_send_deadline(self) -> None:
        if self._send_deadline is not None:
            self._send_deadline.cancel()
            self._send_deadline = None

    def _let_go(self) -> None:
        """A client that takes nothing would keep its answer in memory; closing would wait for it as well."""
        _logger.info("client let go: it takes nothing", seconds=self.send_seconds)
        self.transport.abort()

    def _waits_for_request(self) -> bool:
        """Also while the rest of a body comes in that was answered before it was read."""
        if self.transport.get_protocol() is not self:  # it is a WebSocket now
            return False
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.header_seconds, self._cut)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _is_in_head(self) -> bool:
        # uvicorn makes a scope at the first byte of a head, and adds the method at its last one.
        scope: Mapping[str, object] | None = self.scope
        return self._waits_for_request() and scope is not None and "method" not in scope

    def _cut(self) -> None:
        if self._is_in_head():
            self._refuse(408, _TOO_SLOW)
        self.transport.close()

    def _refuse(self, status: int, detail: bytes) -> None:
        if self.transport.is_closing():
            return
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(detail)),
            (b"connection", b"close"),
        ]
        lines = [b"%s: %s\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", detail]))
        self.transport.close()
