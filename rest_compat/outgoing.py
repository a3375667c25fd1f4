"""The body of a stream on its way out, piece by piece."""

import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

from starlette.types import Send


class Outgoing:
    """Sends pieces of a body whose head is out: each when it comes, or once the client has taken the last."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._unfinished: Awaitable[None] | None = None

    async def send(self, body: bytes) -> None:
        """Send, and wait while the client takes nothing."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def send_now(self, body: bytes) -> bool:
        """Send without waiting, outside of any task; False if the rest is for `finish`, which must follow.

        ASGI's `send` is a coroutine, but waits for nothing unless the client takes nothing.
        """
        sending: Coroutine[Any, Any, None] = self.send(body)
        try:
            awaited = sending.send(None)
        except StopIteration:
            return True
        self._unfinished = _resumed(sending, awaited)
        return False

    async def finish(self) -> bool:
        """Wait for what `send_now` could not do at once; whether there was anything."""
        if self._unfinished is None:
            return False
        unfinished, self._unfinished = self._unfinished, None
        await unfinished
        return True


@types.coroutine
def _resumed(coroutine: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that has begun, and waits for `awaited`."""
    try:
        while True:
            try:
                value = yield awaited
            except BaseException as error:  # noqa: BLE001 - the coroutine's, whatever it is
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(value)
    except StopIteration:
        return
