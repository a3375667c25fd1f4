"""Threads: made, listed, read, changed, deleted and restored by their owners."""

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.context import Context
from core.db.changes import touch
from core.db.indexing import text_changed
from core.db.keyset import Order, Slice, Window, read_slice
from core.db.mapping import THREAD_COLUMNS, to_thread
from core.db.messages import with_attachments
from core.db.models import MessageRow, ThreadRow, now
from core.db.reading import rows
from core.db.records import Message, Page, Thread, User
from core.db.threads import add_thread, move_thread, relist
from core.plain import storable
from core.resolvers.access import (
    IS_ALLOWED,
    allowed,
    allowed_scopes,
    check_json,
    check_length,
    own_thread,
    scope_for,
    visible,
    visible_conditions,
)

LONGEST_TITLE = 255
LONGEST_SUMMARY = 1024
LARGEST_PAGE = 100


_Condition = ColumnElement[bool] | InstrumentedAttribute[bool]


class Which(Enum):
    """Which threads a list shows, of those within the allow lists."""

    LISTED = "listed"
    """Those worth showing: neither deleted, nor untitled, nor empty."""
    ALL = "all"
    DELETED = "deleted"


_CONDITIONS: Final[Mapping[Which, tuple[_Condition, ...]]] = {
    Which.LISTED: (ThreadRow.is_listed,),
    Which.ALL: (),
    # Deleted ones are not listed either, which the index knows.
    Which.DELETED: (ThreadRow.is_listed.is_(False), ThreadRow.is_deleted),
}
_NEWEST_FIRST = Order((ThreadRow.created_at, ThreadRow.id), descending=True)


@dataclass(frozen=True, slots=True)
class ThreadKey:
    """The place of a thread in lists."""

    created_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class ThreadDetail:
    """A thread with its newest messages, newest first."""

    thread: Thread
    last_messages: tuple[Message, ...]


async def create_thread(
    ctx: Context,
    *,
    title: str | None = None,
    summary: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Thread:
    """A new thread of the caller. Raises `InvalidInput`, `NotAllowed`."""
    user = ctx.user
    _check(title, summary, metadata)

    def work(session: Session) -> Thread:
        scope = scope_for(session, user, metadata or {})
        session.flush()
        row = ThreadRow(
            owner_id=user.id,
            scope_id=scope.id,
            title=storable(title) if title else None,
            summary=storable(summary) if summary else None,
            attributes=metadata or {},
        )
        add_thread(session, row)
        session.flush()
        touch(session, row)
        return to_thread(row)

    return await ctx.db.write(work)


async def list_threads(
    ctx: Context, *, page: int = 1, limit: int = 20, include_deleted: bool = False
) -> Page[Thread]:
    """The caller's threads, newest first; without `include_deleted` only those worth showing.

    Left out then are deleted, untitled and empty threads; outside the allow lists always. `limit` is
    cut to 100.
    """
    user = ctx.user
    limit = min(limit, LARGEST_PAGE)

    def work(session: Session) -> Page[Thread]:
        scopes = allowed_scopes(session, user)
        total = _total(scopes, include_deleted=include_deleted)
        offset = (page - 1) * limit
        if offset >= total:
            return Page((), total, page, limit)
        is_restricted = bool(user.allowed_products or user.allowed_agents)
        values: dict[str, Any] = {"caller_id": user.id, "offset": offset, "limit": limit}
        if is_restricted:
            values["caller_scopes"] = [scope.id for scope in scopes]
        query = _page(include_deleted=include_deleted, is_restricted=is_restricted)
        return Page(tuple(map(to_thread, rows(session, query, values))), total, page, limit)

    return await ctx.db.read(work)


@cache
def _page(*, include_deleted: bool, is_restricted: bool) -> Select[*tuple[Any, ...]]:
    query = select(*THREAD_COLUMNS).where(ThreadRow.owner_id == bindparam("caller_id"))
    if not include_deleted:
        query = query.where(ThreadRow.is_listed)
    if is_restricted:
        query = query.where(IS_ALLOWED)
    newest_first = query.order_by(ThreadRow.created_at.desc(), ThreadRow.id.desc())
    return newest_first.offset(bindparam("offset")).limit(bindparam("limit"))


async def slice_threads(
    ctx: Context, window: Window[ThreadKey], which: Which = Which.LISTED, *, with_total: bool = False
) -> Slice[Thread]:
    """The caller's threads, newest first; `total` only if asked for."""
    user = ctx.user

    def work(session: Session) -> Slice[Thread]:
        own = [ThreadRow.owner_id == user.id, *allowed(session, user), *_CONDITIONS[which]]
        found = read_slice(session, select(*THREAD_COLUMNS).where(*own), _NEWEST_FIRST, window.by(astuple))
        total = None
        if with_total and which is Which.DELETED:
            total = session.scalar(select(func.count()).select_from(ThreadRow).where(*own))
        elif with_total:
            total = _total(allowed_scopes(session, user), include_deleted=which is Which.ALL)
        return Slice(tuple(map(to_thread, found.items)), found.has_next, found.has_previous, total)

    return await ctx.db.read(work)


async def threads_by_id(ctx: Context, ids: Collection[UUID]) -> dict[UUID, Thread]:
    """Those of these threads that the caller may see; deleted ones are left out."""
    user = ctx.user
    return await ctx.db.read(lambda session: load_threads(session, user, ids))


def load_threads(session: Session, user: User, ids: Collection[UUID]) -> dict[UUID, Thread]:
    """See `threads_by_id`."""
    own = visible(session, user)
    found = rows(session, _by_id(is_restricted=own.is_restricted), {"ids": list(ids), **own.parameters})
    return {row.id: to_thread(row) for row in found}


@cache
def _by_id(*, is_restricted: bool) -> Select[*tuple[Any, ...]]:
    wanted = ThreadRow.id.in_(bindparam("ids", expanding=True))
    return select(*THREAD_COLUMNS).where(wanted, *visible_conditions(is_restricted=is_restricted))


async def get_thread(ctx: Context, thread_id: UUID, *, messages_limit: int = 5) -> ThreadDetail:
    """The caller's thread. Raises `ThreadNotFound`, also for a deleted one, and `NotAllowed`."""
    user = ctx.user

    def work(session: Session) -> ThreadDetail:
        thread = own_thread(session, user, thread_id)
        newest = (
            select(MessageRow)
            .where(MessageRow.thread_id == thread_id)
            .order_by(MessageRow.position.desc())
            .limit(messages_limit)
        )
        return ThreadDetail(to_thread(thread), with_attachments(session, session.scalars(newest).all()))

    return await ctx.db.read(work)


async def update_thread(
    ctx: Context,
    thread_id: UUID,
    *,
    title: str | None = None,
    summary: str | None = None,
    metadata: dict[str, Any] | None = None,
    is_deleted: bool | None = None,
) -> Thread:
    """Change what is not None; `metadata` is replaced whole. Deleted threads can be changed, too.

    Raises `ThreadNotFound`, `NotAllowed`, `InvalidInput`.
    """
    user = ctx.user
    _check(title, summary, metadata)

    def work(session: Session) -> Thread:
        thread = own_thread(session, user, thread_id, deleted_too=True, lock=True)
        if title is not None:
            thread.title = storable(title) or None
        if summary is not None:
            thread.summary = storable(summary) or None
        if title is not None or summary is not None:
            text_changed(session, thread)
        if metadata is not None:
            scope = scope_for(session, user, metadata)
            session.flush()
            move_thread(session, thread, scope.id)
            thread.attributes = metadata
        if is_deleted is not None and is_deleted != thread.is_deleted:
            thread.is_deleted = is_deleted
            thread.deleted_at = now() if is_deleted else None
        thread.updated_at = now()
        relist(session, thread)
        touch(session, thread)
        session.flush()
        return to_thread(thread)

    return await ctx.db.write(work)


async def delete_thread(ctx: Context, thread_id: UUID) -> None:
    """Hide a thread until it is restored; again is fine. Raises `ThreadNotFound`, `NotAllowed`."""
    await update_thread(ctx, thread_id, is_deleted=True)


def _total(scopes: list[Row[Any]], *, include_deleted: bool) -> int:
    return sum(scope.thread_count if include_deleted else scope.listed_count for scope in scopes)


def _check(title: str | None, summary: str | None, metadata: dict[str, Any] | None) -> None:
    check_json("metadata", metadata)
    check_length("title", title, LONGEST_TITLE)
    check_length("summary", summary, LONGEST_SUMMARY)
