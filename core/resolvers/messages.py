"""Messages: listed and changed. Sending has a file of its own."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.changes import touch
from core.db.indexing import text_changed
from core.db.keyset import Slice, Window
from core.db.mapping import MESSAGE_COLUMNS
from core.db.message_slices import slices_of_messages
from core.db.messages import with_attachments
from core.db.models import MessageRow, ThreadRow, now
from core.db.reading import rows
from core.db.records import Message, MessageStatus, Page, Thread, User
from core.errors import InvalidInput
from core.plain import storable
from core.resolvers.access import message_of, own_message, own_thread, visible, visible_conditions
from core.resolvers.threads import LARGEST_PAGE
from core.runs.ending import LONGEST_ERROR_CODE

MOST_TOKENS = 2**31 - 1

_RANGE: Final = (
    select(*MESSAGE_COLUMNS)
    .where(
        MessageRow.thread_id == bindparam("of_thread"),
        MessageRow.position <= bindparam("high"),
        MessageRow.position > bindparam("low"),
    )
    .order_by(MessageRow.position.desc())
)


async def list_messages(ctx: Context, thread_id: UUID, *, page: int = 1, limit: int = 20) -> Page[Message]:
    """The messages of the caller's thread, newest first; `limit` is cut to 100.

    Raises `ThreadNotFound`, `NotAllowed`.
    """
    user = ctx.user
    limit = min(limit, LARGEST_PAGE)

    def work(session: Session) -> Page[Message]:
        total = own_thread(session, user, thread_id).message_count
        # Positions are dense, so that any page is one range of the index.
        newest = total - (page - 1) * limit
        if newest < 1:
            return Page((), total, page, limit)
        found = rows(session, _RANGE, {"of_thread": thread_id, "high": newest, "low": newest - limit})
        return Page(with_attachments(session, found), total, page, limit)

    return await ctx.db.read(work)


async def slice_messages(
    ctx: Context, thread_windows: Sequence[tuple[Thread, Window[int]]]
) -> list[Slice[Message]]:
    """A slice of each thread's messages, newest first, keyed by position; `total` is always there.

    The threads are the caller's, as another resolver gave them; all are read in two statements.
    """
    user = ctx.user
    return await ctx.db.read(lambda session: slices_of_messages(session, user.id, thread_windows))


async def messages_by_id(ctx: Context, ids: Collection[UUID]) -> dict[UUID, Message]:
    """Those of these messages that the caller may see."""
    user = ctx.user
    return await ctx.db.read(lambda session: load_messages(session, user, ids))


def load_messages(session: Session, user: User, ids: Collection[UUID]) -> dict[UUID, Message]:
    """See `messages_by_id`."""
    own = visible(session, user)
    found = rows(session, _by_id(is_restricted=own.is_restricted), {"ids": list(ids), **own.parameters})
    return {message.id: message for message in with_attachments(session, found)}


@cache
def _by_id(*, is_restricted: bool) -> Select[*tuple[Any, ...]]:
    return (
        select(*MESSAGE_COLUMNS)
        .join(ThreadRow, ThreadRow.id == MessageRow.thread_id)
        .where(
            MessageRow.id.in_(bindparam("ids", expanding=True)),
            *visible_conditions(is_restricted=is_restricted),
        )
    )


async def get_message(ctx: Context, thread_id: UUID, message_id: UUID) -> Message:
    """A message of the caller's thread. Raises `ThreadNotFound`, `NotAllowed`, `MessageNotFound`."""
    user = ctx.user

    def work(session: Session) -> Message:
        return with_attachments(session, [own_message(session, user, thread_id, message_id)])[0]

    return await ctx.db.read(work)


async def update_message(
    ctx: Context,
    thread_id: UUID,
    message_id: UUID,
    *,
    status: MessageStatus | None = None,
    text: str | None = None,
    error_code: str | None = None,
    tokens_count: int | None = None,
) -> Message:
    """Change what is not None. Raises `ThreadNotFound`, `NotAllowed`, `MessageNotFound`, `InvalidInput`."""
    user = ctx.user
    if tokens_count is not None and not 0 <= tokens_count <= MOST_TOKENS:
        raise InvalidInput("tokens_count", f"tokens_count must be between 0 and {MOST_TOKENS}")

    def work(session: Session) -> Message:
        thread = own_thread(session, user, thread_id, lock=True)
        row = message_of(session, thread_id, message_id)
        touch(session, thread)
        if status is not None:
            row.status = status
        if text is not None and storable(text) != row.text:
            row.text = storable(text)
            text_changed(session, row)
        if error_code is not None:
            row.error_code = storable(error_code)[:LONGEST_ERROR_CODE]
        if tokens_count is not None:
            row.tokens_count = tokens_count
        row.updated_at = now()
        session.flush()
        return with_attachments(session, [row])[0]

    return await ctx.db.write(work)
