"""Attachments: the bytes, for the owner of their thread only."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.mapping import to_attachment
from core.db.models import AttachmentRow
from core.db.records import Attachment
from core.errors import AttachmentNotFound, ThreadNotFound
from core.files.store import FileMissing
from core.resolvers.access import own_thread


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


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
