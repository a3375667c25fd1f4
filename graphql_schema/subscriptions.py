"""Subscriptions: an answer as it is written, and what happens to the caller's threads."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from core.db.records import RunStatus
from core.resolvers import changes, runs
from core.runs import events
from core.runs.events import Batch, EventKind
from core.runs.log import Reader
from graphql_schema.context import Info
from graphql_schema.inputs import given
from graphql_schema.messages import Message
from graphql_schema.runs import RunError, load_message
from graphql_schema.scalars import Cursor
from graphql_schema.threads import Thread

# Text that arrives meanwhile goes out as one delta: each event costs, and no eye sees the difference.
DELTA_SECONDS = 0.025
# A batch this large is backlog, and the next one is waiting already.
CAUGHT_UP_BELOW = 256

Changes = list[changes.ThreadChange | changes.CaughtUp]

_After = Annotated[
    Cursor | None,
    strawberry.argument(description="The last cursor that was seen; what came after it comes first."),
]


@strawberry.interface(description="Something that happened, and the place to go on from.")
class Event:
    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this event.")


@strawberry.type(description="All text so far; without `after`, the first event.")
class RunSnapshot(Event):
    text: str = strawberry.field(description="The whole text up to here; it replaces what was shown.")
    status: RunStatus = strawberry.field(description="How far the answer is.")


@strawberry.type(description="The answer went on to another status.")
class RunStatusChanged(Event):
    status: RunStatus = strawberry.field(description="How far the answer is.")


@strawberry.type(description="Text that the answer grew by.")
class RunDelta(Event):
    text: str = strawberry.field(description="What to append.")


@strawberry.type(description="The answer is over: the last event, exactly once.")
class RunEnded(Event):
    status: RunStatus = strawberry.field(description="How it ended.")
    error: RunError | None = strawberry.field(description="Why it failed; null unless it did.")
    message_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The answer as it was saved; null if nothing was.")
    async def assistant_message(self, info: Info) -> Message | None:
        return await load_message(info, self.message_id)


@strawberry.type(description="The events behind `after` are no longer kept; the stream goes on from here.")
class CursorExpired(Event):
    earliest: Cursor = strawberry.field(description="The earliest cursor that can be gone on from now.")
    snapshot: RunSnapshot = strawberry.field(description="All text so far; it replaces what was shown.")


RunEvent = Annotated[
    RunSnapshot | RunStatusChanged | RunDelta | RunEnded | CursorExpired,
    strawberry.union("RunEvent", description="What happens in a run, in order."),
]
AnyRunEvent = RunSnapshot | RunStatusChanged | RunDelta | RunEnded | CursorExpired


@strawberry.type(description="A thread is new, or it or its messages changed; only its latest state is told.")
class ThreadUpdated(Event):
    thread: Thread = strawberry.field(description="The thread as it is now.")


@strawberry.type(description="A thread is deleted, or no longer within the caller's allow lists.")
class ThreadRemoved(Event):
    thread_id: UUID = strawberry.field(description="Which one.")


@strawberry.type(description="All that had happened before was told; what follows is live.")
class ThreadsCaughtUp(Event):
    pass


ThreadsEvent = Annotated[
    ThreadUpdated | ThreadRemoved | ThreadsCaughtUp,
    strawberry.union("ThreadsEvent", description="What happens to the caller's threads, in order."),
]


@strawberry.type(description="What can be followed; every event has a cursor to go on behind.")
class Subscription:
    @strawberry.subscription(
        description="An answer as it is written: first a `RunSnapshot`, or with `after` what was missed; "
        "then live; then exactly one `RunEnded`."
    )
    async def run_events(
        self,
        info: Info,
        run_id: Annotated[UUID, strawberry.argument(description="The run.")],
        after: _After = UNSET,
    ) -> AsyncGenerator[RunEvent, None]:
        cursor = info.context.last_event_id or given(after)  # an empty header says that there is none
        reader = await runs.follow_run(info.context.core, run_id, cursor)
        return _run_events(reader, run_id, had_cursor=cursor is not None)

    @strawberry.subscription(
        description="What happens to the caller's threads, on any device: first what was missed since "
        "`after`, each thread once, then `ThreadsCaughtUp`, then live."
    )
    async def threads_changed(self, info: Info, after: _After = UNSET) -> AsyncGenerator[ThreadsEvent, None]:
        stream = changes.follow_threads(info.context.core, info.context.last_event_id or given(after))
        first = await anext(stream)  # a bad cursor fails the subscription here, before any event
        return _thread_events(first, stream)


async def _run_events(reader: Reader, run_id: UUID, *, had_cursor: bool) -> AsyncGenerator[RunEvent, None]:
    while not reader.done:
        update = await reader.next()
        if isinstance(update, events.Snapshot):
            yield _snapshot(update, reader.cursor.epoch, run_id, expired=had_cursor)
        elif update is not None:
            if update.first_seq == 1 and not had_cursor:
                # Clients that reconnect by themselves begin anew: what they show must be replaced.
                start = _run_cursor(reader.cursor.epoch, 0, run_id)
                yield RunSnapshot(cursor=start, text="", status=RunStatus.QUEUED)
            for event in _told(update, reader.cursor.epoch, run_id):
                yield event
            if len(update.events) < CAUGHT_UP_BELOW and not reader.done:
                await asyncio.sleep(DELTA_SECONDS)
        had_cursor = False


def _snapshot(snapshot: events.Snapshot, epoch: int, run_id: UUID, *, expired: bool) -> AnyRunEvent:
    cursor = _run_cursor(epoch, snapshot.seq, run_id)
    told = RunSnapshot(cursor=cursor, text=snapshot.text, status=snapshot.status)
    return CursorExpired(cursor=cursor, earliest=cursor, snapshot=told) if expired else told


def _told(batch: Batch, epoch: int, run_id: UUID) -> list[AnyRunEvent]:
    """The batch as GraphQL events; deltas that waited together become one."""
    told: list[AnyRunEvent] = []
    for seq, event in enumerate(batch.events, batch.first_seq):
        cursor = _run_cursor(epoch, seq, run_id)
        if event.end is not None:
            told.append(_ended(event.end, cursor))
        elif event.kind is not EventKind.CHUNK:
            told.append(RunStatusChanged(cursor=cursor, status=RunStatus(event.kind.value)))
        elif not event.text:
            continue  # usage, say: nothing to show, and the next cursor is behind it as well
        elif told and isinstance(told[-1], RunDelta):
            told[-1] = RunDelta(cursor=cursor, text=told[-1].text + event.text)
        else:
            told.append(RunDelta(cursor=cursor, text=event.text))
    return told


def _ended(end: events.RunEnd, cursor: Cursor) -> RunEnded:
    return RunEnded(
        cursor=cursor,
        status=end.status,
        error=RunError.of(end.status, end.error_code, end.error),
        message_id=end.assistant_message_id,
    )


def _run_cursor(epoch: int, seq: int, run_id: UUID) -> Cursor:
    return Cursor(events.Cursor(epoch, seq).encode(run_id))


async def _thread_events(
    first: Changes, following: AsyncGenerator[Changes, None]
) -> AsyncGenerator[ThreadsEvent, None]:
    async with aclosing(following):
        for item in first:
            yield _thread_event(item)
        async for batch in following:
            for item in batch:
                yield _thread_event(item)


def _thread_event(item: changes.ThreadChange | changes.CaughtUp) -> ThreadsEvent:
    cursor = Cursor(item.cursor)
    if isinstance(item, changes.CaughtUp):
        return ThreadsCaughtUp(cursor=cursor)
    if item.thread is None:
        return ThreadRemoved(cursor=cursor, thread_id=item.thread_id)
    return ThreadUpdated(cursor=cursor, thread=Thread.of(item.thread))
