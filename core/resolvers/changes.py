"""The change feed: what happens to the caller's threads, on whatever device."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.mapping import THREAD_COLUMNS, to_thread
from core.db.models import ThreadRow, UserRow
from core.db.records import Thread, User
from core.errors import CursorInvalid
from core.resolvers.access import allowed_scopes
from core.signals import threads_topic

LARGEST_BATCH = 100

_CURSOR = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class ThreadChange:
    """A thread has changed: how it is now, or None if the caller may not see it any more."""

    cursor: str
    thread_id: UUID
    thread: Thread | None


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that had happened before was told; what follows is live."""

    cursor: str


async def follow_threads(
    ctx: Context, after: str | None = None
) -> AsyncGenerator[list[ThreadChange | CaughtUp], None]:
    """What has happened to the caller's threads since the cursor `after`, then `CaughtUp`, then live.

    Each thread that has changed is told once, in its latest state, oldest change first, in batches of at
    most 100. Without `after`, only what happens from now on. It ends when the process is about to. Raises
    `CursorInvalid` before anything else.
    """
    user = ctx.user
    # Listening first: what is committed while the backlog is read wakes the first wait.
    with ctx.signals.listen(threads_topic(user.id)) as listener:
        newest = await ctx.db.read(lambda session: _newest(session, user))
        place = newest if after is None else _decode(after, user, newest)
        is_caught_up = after is None
        if is_caught_up:
            yield [CaughtUp(_encode(user, place))]
        while True:
            batch = await ctx.db.read(partial(_read, user=user, place=place))
            place = batch.place
            if batch.changes:
                yield [*batch.changes]
            if batch.is_last:
                if not is_caught_up:
                    is_caught_up = True
                    yield [CaughtUp(_encode(user, place))]
                if ctx.runs.is_draining:
                    return
                # Signals may be lost between processes: look now and then without one.
                await listener.wait(ctx.settings.heartbeat_seconds)


async def threads_cursor(ctx: Context) -> str:
    """The cursor of this moment: `follow_threads` gives what happens from now on."""
    user = ctx.user
    return _encode(user, await ctx.db.read(lambda session: _newest(session, user)))


@dataclass(frozen=True, slots=True)
class _Batch:
    changes: list[ThreadChange]
    place: int
    is_last: bool


def _read(session: Session, user: User, place: int) -> _Batch:
    """What has changed behind `place`, up to a batch."""
    newest = _newest(session, user)
    if newest == place:
        return _Batch([], place, is_last=True)
    rows = session.execute(
        select(*THREAD_COLUMNS)
        .where(ThreadRow.owner_id == user.id, ThreadRow.change_seq > place)
        .order_by(ThreadRow.change_seq)
        .limit(LARGEST_BATCH)
    ).all()
    allowed = {scope.id for scope in allowed_scopes(session, user)} if rows else set()
    changes = [
        ThreadChange(
            _encode(user, row.change_seq),
            row.id,
            to_thread(row) if row.scope_id in allowed and not row.is_deleted else None,
        )
        for row in rows
    ]
    if len(rows) == LARGEST_BATCH:
        return _Batch(changes, rows[-1].change_seq, is_last=False)
    # Where each statement sees its own snapshot, the threads may be newer than the number read before.
    return _Batch(changes, max([newest, *(row.change_seq for row in rows)]), is_last=True)


def _newest(session: Session, user: User) -> int:
    return session.scalar(select(UserRow.change_seq).where(UserRow.id == user.id)) or 0


def _encode(user: User, place: int) -> str:
    return f"{_tag(user)}-{place}"


def _decode(cursor: str, user: User, newest: int) -> int:
    """The place that `cursor` tells. Raises `CursorInvalid` for one of another owner or of the future."""
    match = _CURSOR.fullmatch(cursor)
    if match is None or match[1] != _tag(user) or int(match[2]) > newest:
        raise CursorInvalid
    return int(match[2])


def _tag(user: User) -> str:
    # The end of a UUIDv7 is random; its beginning is the time.
    return user.id.hex[-8:]
