"""One user with a long history among many others, and what reads it without a server: Core statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from argon2 import PasswordHasher
from sqlalchemy import Connection, Row, create_engine, insert, select, update

from core.db.mapping import ATTACHMENT_COLUMNS, MESSAGE_COLUMNS, THREAD_COLUMNS
from core.db.models import AttachmentRow, MessageRow, ScopeRow, ThreadRow, UserRow
from core.db.records import MessageStatus, SenderType
from core.ids import new_id
from tests.servers import PASSWORD

PAGE: Final = 20
_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_TEXT: Final = (
    "A message of ordinary length, as people and models write them to each other all day long. " * 4
)
_SENDERS: Final = (SenderType.ASSISTANT.value, SenderType.USER.value)


@dataclass(frozen=True, slots=True)
class History:
    """What is asked about."""

    username: str
    owner_id: UUID
    long_thread_id: UUID
    long_thread_messages: int


def write_history(
    file: Path, username: str, *, users: int, threads: int, messages: int, longest: int
) -> History:
    """Give a user who has an account so many threads and messages, `longest` of these in one thread.

    The database is there, with its server stopped. The other users have one short thread each.
    """
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        owner_id = connection.execute(select(UserRow.id).where(UserRow.username == username)).scalar_one()
        share = (messages - longest) // (threads - 1)
        long_thread_id = _write(connection, owner_id, [longest] + [share] * (threads - 1))
        for number in range(users - 1):
            other = new_id()
            connection.execute(
                insert(UserRow).values(id=other, username=f"user{number}", password_hash="-")  # noqa: S106
            )
            _write(connection, other, [2])
    engine.dispose()
    return History(username, owner_id, long_thread_id, longest)


def _write(connection: Connection, owner_id: UUID, lengths: list[int]) -> UUID:
    """Threads of these lengths; the id of the first, which is the oldest."""
    scope = connection.execute(select(ScopeRow.id).where(ScopeRow.owner_id == owner_id)).scalar()
    if scope is None:
        scope = new_id()
        connection.execute(
            insert(ScopeRow).values(id=scope, owner_id=owner_id, digest="-", products=[], agents=[])
        )
    connection.execute(
        update(ScopeRow)
        .where(ScopeRow.id == scope)
        .values(thread_count=len(lengths), listed_count=len(lengths))
    )
    ids = [new_id() for _ in lengths]
    rows = [
        {
            "id": id_,
            "owner_id": owner_id,
            "scope_id": scope,
            "title": f"Thread {number}",
            "is_listed": True,
            "message_count": length,
            "attributes": {"model": "bench"},
            "created_at": _START + timedelta(minutes=number),
            "updated_at": _START + timedelta(minutes=number),
        }
        for number, (id_, length) in enumerate(zip(ids, lengths, strict=True))
    ]
    connection.execute(insert(ThreadRow), rows)
    for id_, length in zip(ids, lengths, strict=True):
        connection.execute(insert(MessageRow), list(_messages(id_, length)))
    return ids[0]


def _messages(thread_id: UUID, length: int) -> Iterator[dict[str, Any]]:
    for position in range(1, length + 1):
        yield {
            "id": new_id(),
            "thread_id": thread_id,
            "position": position,
            "sender_id": _SENDERS[position % 2],
            "sender_type": _SENDERS[position % 2],
            "status": MessageStatus.READY.value,
            "text": _TEXT,
            "created_at": _START + timedelta(seconds=position),
        }


@contextmanager
def core_queries(file: Path, history: History) -> Iterator[dict[str, Callable[[], object]]]:
    """The statements behind each case, by SQLAlchemy Core on a connection of their own, as callables."""
    engine = create_engine(f"sqlite:///{file}")
    hasher = PasswordHasher()
    with engine.connect() as connection:
        stored = connection.execute(
            select(UserRow.password_hash).where(UserRow.id == history.owner_id)
        ).scalar_one()

        def threads(page: int) -> list[Row[Any]]:
            return list(
                connection.execute(
                    select(*THREAD_COLUMNS)
                    .where(ThreadRow.owner_id == history.owner_id, ThreadRow.is_listed)
                    .order_by(ThreadRow.created_at.desc(), ThreadRow.id.desc())
                    .offset((page - 1) * PAGE)
                    .limit(PAGE)
                )
            )

        def messages(page: int) -> list[Row[Any]]:
            newest = history.long_thread_messages - (page - 1) * PAGE
            found = connection.execute(
                select(*MESSAGE_COLUMNS)
                .where(
                    MessageRow.thread_id == history.long_thread_id,
                    MessageRow.position <= newest,
                    MessageRow.position > newest - PAGE,
                )
                .order_by(MessageRow.position.desc())
            ).all()
            ids = [row.id for row in found]
            files = connection.execute(
                select(*ATTACHMENT_COLUMNS).where(AttachmentRow.message_id.in_(ids))
            ).all()
            return [*found, *files]

        yield {
            "threads": lambda: threads(1),
            "threads, deep": lambda: threads(500),
            "messages": lambda: messages(1),
            "messages, deep": lambda: messages(500),
            "login": lambda: hasher.verify(stored, PASSWORD),
        }
    engine.dispose()
