"""Attachments: the bytes, for the owner of their thread only."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.mapping import ATTACHMENT_COLUMNS, to_attachment
from core.db.models import AttachmentRow, ThreadRow
from core.db.records import Attachment, User
from core.errors import AttachmentNotFound, ThreadNotFound
from core.files.store import FileMissing
from core.resolvers.access import own_thread, visible


@dataclass(frozen=True, slots=True)
class AttachmentBytes:
    """A file to be sent to its owner, piece by piece."""

    attachment: Attachment
    pieces: AsyncIterator[bytes]


async def open_attachment(ctx: Context, stored_name: str) -> AttachmentBytes:
    """The bytes kept under this name. Raises `AttachmentNotFound`, `NotAllowed`."""
    user = ctx.user

    def work(session: Session) -> Attachment:
        row = session.scalars(
            select(AttachmentRow).where(AttachmentRow.stored_name == stored_name)
        ).one_or_none()
        if row is None:
            raise AttachmentNotFound
        try:
            own_thread(session, user, row.thread_id)
        except ThreadNotFound:
            raise AttachmentNotFound from None
        return to_attachment(row)

    attachment = await ctx.db.read(work)
    pieces = ctx.files.stream(stored_name)
    try:
        first = await anext(pieces, b"")
    except FileMissing:
        raise AttachmentNotFound from None
    return AttachmentBytes(attachment, _chain(first, pieces))


def load_attachments(session: Session, user: User, ids: Collection[UUID]) -> dict[UUID, Attachment]:
    """Those of these attachments whose messages the caller may see."""
    own = visible(session, user)
    rows = session.execute(
        select(*ATTACHMENT_COLUMNS)
        .join(ThreadRow, ThreadRow.id == AttachmentRow.thread_id)
        .where(AttachmentRow.id.in_(list(ids)), AttachmentRow.message_id.is_not(None), *own.conditions),
        own.parameters,
    )
    return {row.id: to_attachment(row) for row in rows}


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
