"""What one search may look at: SQL conditions, which are the only truth about who sees what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from core.db.models import MessageRow, ThreadRow
from core.db.search_models import EntryRow, SearchOwnerRow, entry_range
from core.search.entries import thread_text


@dataclass(frozen=True, slots=True)
class SearchScope:
    """One owner's entries, by their range of ids, and what must hold of entry and thread."""

    owner_number: int
    conditions: tuple[ColumnElement[bool], ...]

    @property
    def ids(self) -> tuple[int, int]:
        """The lowest and the highest id of the owner's entries."""
        return entry_range(self.owner_number)


@dataclass(frozen=True, slots=True)
class EntryText:
    """An entry that the searcher may see, with its text."""

    entry_id: int
    thread_id: UUID
    message_id: UUID | None
    text: str


def owner_number(session: Session, owner_id: UUID) -> int | None:
    """The number of an owner; None while nothing of theirs is indexed."""
    return session.scalar(select(SearchOwnerRow.number).where(SearchOwnerRow.owner_id == owner_id))


def read_texts(session: Session, scope: SearchScope, ids: Sequence[int]) -> list[EntryText]:
    """Those of these entries that are in the scope, newest first."""
    found = session.execute(
        select(
            EntryRow.id,
            EntryRow.thread_id,
            EntryRow.message_id,
            MessageRow.text,
            ThreadRow.title,
            ThreadRow.summary,
        )
        .join(ThreadRow, ThreadRow.id == EntryRow.thread_id)
        .outerjoin(MessageRow, MessageRow.id == EntryRow.message_id)
        .where(EntryRow.id.in_(list(ids)), *scope.conditions)
        .order_by(EntryRow.id.desc())
    )
    return [
        EntryText(id_, thread_id, message_id, text if message_id else thread_text(title, summary))
        for id_, thread_id, message_id, text, title, summary in found
    ]


def count_entries(session: Session, scope: SearchScope) -> int:
    """How many entries the owner has, seen or not."""
    low, high = scope.ids
    return session.scalar(select(func.count()).where(EntryRow.id.between(low, high))) or 0


def long_entries(session: Session, scope: SearchScope) -> list[int]:
    """The owner's entries that have no trigrams, newest first."""
    low, high = scope.ids
    long = select(EntryRow.id).where(EntryRow.is_long, EntryRow.id.between(low, high))
    return list(session.scalars(long.order_by(EntryRow.id.desc())))


def all_entries(session: Session, scope: SearchScope, chunk: int) -> Iterator[Sequence[int]]:
    """The ids of the owner's entries, newest first, `chunk` at a time."""
    low, high = scope.ids
    while True:
        newest = select(EntryRow.id).where(EntryRow.id.between(low, high))
        ids = session.scalars(newest.order_by(EntryRow.id.desc()).limit(chunk)).all()
        if not ids:
            return
        yield ids
        high = ids[-1] - 1
