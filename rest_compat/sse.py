"""Runs as server-sent events: the frames of the contract, and the response that sends them.

The only place besides `graphql_schema` that knows a wire format of events.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi import Response
from starlette.types import Receive, Scope, Send

from core.context import Context
from core.db.records import RunStatus
from core.logs import get_logger
from core.resolvers.bearers import until_locked_out
from core.runs.events import Batch, Cursor, Event, EventKind, RunEnd, Snapshot
from core.runs.log import ComeBack, Reader

_logger = get_logger(__name__)

DONE = b"data: [DONE]\n\n"

# Proxies must neither buffer nor rewrite a stream; X-Accel-Buffering is nginx's word for it.
STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
STREAM_RESPONSE: dict[str, Any] = {
    "description": "Frames `data: <JSON>`, the last one `data: [DONE]`",
    "content": {
        "text/event-stream": {
            "itemSchema": {
                "type": "object",
                "required": ["data"],
                "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
            },
            "example": 'data: {"id":"…","object":"chat.completion.chunk","agent_status":"queued",'
            '"choices":[{"delta":{},"finish_reason":null}]}\n\ndata: [DONE]\n\n',
        }
    },
}


class StreamBroken(Exception):
    """What comes next cannot be said in this format; the connection ends without `[DONE]`."""


class Frames:
    """Says updates of one run in frames."""

    def __init__(self, thread_id: UUID, run_id: UUID | None = None) -> None:
        """With `run_id`, frames carry cursors as `id`, and a snapshot is an event of its own."""
        self._thread_id = str(thread_id)
        self._run_id = run_id
        self._started = False
        self._end_is_folded = False

    def update(self, update: Batch | Snapshot, epoch: int) -> bytes:
        """The frames of an update. Raises `StreamBroken`."""
        if isinstance(update, Snapshot):
            frames = self._snapshot(update, epoch)
        else:
            frames = b"".join(
                self._event(event, self._id(epoch, seq))
                for seq, event in enumerate(update.events, update.first_seq)
            )
        self._started = True
        return frames

    def heartbeat(self, status: RunStatus) -> bytes:
        """The frame that says in a silence that nothing is wrong."""
        return self._status("queued" if status is RunStatus.QUEUED else "running")

    def _id(self, epoch: int, seq: int) -> bytes:
        return b"id: %s\n" % Cursor(epoch, seq).encode(self._run_id).encode() if self._run_id else b""

    def _event(self, event: Event, cursor: bytes) -> bytes:
        if event.kind is EventKind.CHUNK:
            self._end_is_folded = False
            return b"%sdata: %s\n\n" % (cursor, event.raw)
        if event.end is not None:
            # The cursor comes last: a client that is cut off before has not seen the end.
            return self._end(event.end) + cursor + DONE
        return cursor + self._status(event.kind.value)

    def _end(self, end: RunEnd) -> bytes:
        if end.status is RunStatus.FAILED:
            error = {
                "message": end.error or "LLM provider error",
                "type": "internal_error" if end.is_our_fault else "agent_error",
            }
            return self._status("failed", "error") + _frame({"error": error})
        if end.status is RunStatus.CANCELLED:
            return self._status("cancelled", "stop")
        if end.provider_said_so and not self._end_is_folded:
            return b""
        interrupted = end.status is RunStatus.INTERRUPTED
        return self._status("interrupted" if interrupted else "completed", "stop")

    def _snapshot(self, snapshot: Snapshot, epoch: int) -> bytes:
        # The provider's last word may be among the chunks that this stands for.
        self._end_is_folded = True
        if self._run_id is not None:
            body = {"text": snapshot.text, "status": snapshot.status.value}
            return self._id(epoch, snapshot.seq) + b"event: snapshot\n" + _frame(body)
        if self._started:
            raise StreamBroken
        text = {"delta": {"content": snapshot.text}, "finish_reason": None}
        chunk = {"id": self._thread_id, "object": "chat.completion.chunk", "choices": [text]}
        return self._status("queued") + self._status("running") + _frame(chunk)

    def _status(self, agent_status: str, finish_reason: str | None = None) -> bytes:
        return _frame(
            {
                "id": self._thread_id,
                "object": "chat.completion.chunk",
                "agent_status": agent_status,
                "choices": [{"delta": {}, "finish_reason": finish_reason}],
            }
        )


def chat_frames(thread_id: UUID) -> Frames:
    """The frames of `POST …/messages/stream`: `data` lines and nothing else."""
    return Frames(thread_id)


def resumable_frames(thread_id: UUID, run_id: UUID) -> Frames:
    """The frames of `GET /runs/{run_id}/events`: the same, with cursors."""
    return Frames(thread_id, run_id)


def queued_only(thread_id: UUID) -> Response:
    """The whole stream of a message that nobody here answers."""
    frames = Frames(thread_id)
    end = Event(EventKind.END, end=RunEnd(RunStatus.COMPLETED))
    body = frames.update(Batch(1, [Event(EventKind.QUEUED), end]), 1)
    return Response(body, headers=STREAM_HEADERS)


class RunStream(Response):
    """Sends a reader's updates until the end; all that waits goes out in one write."""

    def __init__(
        self,
        ctx: Context,
        reader: Reader,
        frames: Frames,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(headers={**STREAM_HEADERS, **(headers or {})})
        self._ctx = ctx
        del self.headers["content-length"]
        self._reader = reader
        self._frames = frames
        self._heartbeat_seconds = ctx.settings.heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the run ends, the client leaves or must not read any more, whichever is first."""
        del scope
        pump = asyncio.create_task(self._pump(send))
        # A server's `send` says nothing after a disconnect, so that has to be watched for.
        left = asyncio.create_task(_until_disconnect(receive))
        locked_out = asyncio.create_task(until_locked_out(self._ctx))
        tasks = (pump, left, locked_out)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            was_cut = locked_out.done() and not pump.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not pump.cancelled():
            pump.result()
        elif was_cut:
            await send({"type": "http.response.body", "body": b""})

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        reader = self._reader
        if reader.done:
            await send({"type": "http.response.body", "body": DONE})
            return
        while not reader.done:
            try:
                update = await reader.next(self._heartbeat_seconds)
            except ComeBack:
                break
            if update is None and reader.done:
                await send({"type": "http.response.body", "body": DONE, "more_body": True})
                break
            try:
                body = (
                    self._frames.heartbeat(reader.status)
                    if update is None
                    else self._frames.update(update, reader.cursor.epoch)
                )
            except StreamBroken:
                _logger.info("reader let go: it was too slow for this format")
                break
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _encoder() -> Callable[[object], bytes]:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    return lambda body: b"data: %s\n\n" % encode(body).encode()


_frame = _encoder()
