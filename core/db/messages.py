"""Rules of a message's row that hold whoever writes it, and reading messages with their files."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from core.db.inserting import insert_now
from core.db.mapping import ATTACHMENT_COLUMNS, to_attachment, to_message
from core.db.models import AttachmentRow, MessageRow, ThreadRow
from core.db.models import now as db_now
from core.db.reading import rows
from core.db.records import Attachment, Message
from core.db.threads import relist

_OF_MESSAGES: Final = select(*ATTACHMENT_COLUMNS).where(
    AttachmentRow.message_id.in_(bindparam("ids", expanding=True))
)
_OF_THREAD: Final = select(*ATTACHMENT_COLUMNS).where(AttachmentRow.thread_id == bindparam("thread_id"))


def append_message(session: Session, thread: ThreadRow, message: MessageRow) -> MessageRow:
    """Give `message` the next position of `thread`, insert it, and count it.

    `thread` must be locked by this transaction (`with_for_update`), or positions collide.
    """
    thread.message_count += 1
    thread.updated_at = db_now()
    message.thread_id = thread.id
    message.position = thread.message_count
    insert_now(session, message)
    relist(session, thread)
    return message


def with_attachments(session: Session, rows: Sequence[MessageRow | Row[Any]]) -> tuple[Message, ...]:
    """The messages of `rows`, in their order, each with its attachments: one query for all."""
    by_message = attachments_of(session, [row.id for row in rows])
    return tuple(to_message(row, by_message.get(row.id, ())) for row in rows)


def attachments_of(session: Session, message_ids: Iterable[UUID]) -> dict[UUID, list[Attachment]]:
    """The attachments of each of these messages, oldest first; for a page of messages, not more."""
    return by_message(rows(session, _OF_MESSAGES, {"ids": list(message_ids)}))


def attachments_of_thread(session: Session, thread_id: UUID) -> dict[UUID, list[Attachment]]:
    """The attachments of each message of a thread, oldest first."""
    return by_message(rows(session, _OF_THREAD, {"thread_id": thread_id}))


def by_message(rows: Iterable[Row[Any]]) -> dict[UUID, list[Attachment]]:
    """Rows of `ATTACHMENT_COLUMNS` as attachments, oldest first, by the message that they belong to."""
    found: dict[UUID, list[Attachment]] = {}
    for row in sorted(rows, key=attrgetter("id")):
        if row.message_id is not None:
            found.setdefault(row.message_id, []).append(to_attachment(row))
    return found
