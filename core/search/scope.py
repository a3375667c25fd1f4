"""What one search may look at: SQL conditions, which are the only truth about who sees what."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, select, text, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType, TypeEngine

from core.db.models import MessageRow, ThreadRow
from core.db.reading import rows
from core.db.search_models import EntryRow, SearchOwnerRow, entry_range
from core.search.entries import thread_text

_RAW: TypeEngine[Any] = NullType()
_MOST_KEPT: Final = 16
_NUMBERS: Final = select(SearchOwnerRow.number, SearchOwnerRow.last_id).where(
    SearchOwnerRow.owner_id == bindparam("owner_id")
)
_AMONG_IDS: Final = EntryRow.id.in_(bindparam("ids", expanding=True))


@dataclass(frozen=True, slots=True)
class SearchScope:
    """One owner's entries, by their range of ids, and what must hold of entry and thread."""

    owner_number: int
    newest: int
    """The id that the owner's newest entry was given."""

    conditions: tuple[ColumnElement[bool], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The values for the `bindparam`s of the conditions."""

    @property
    def given(self) -> int:
        """How many entries the owner has ever had: counting those of today would take long."""
        return max(self.newest - self.ids[0], 0)

    @property
    def ids(self) -> tuple[int, int]:
        """The lowest and the highest id of the owner's entries."""
        return entry_range(self.owner_number)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that the searcher may see: of a message, or of a thread if there is no message."""

    entry_id: int
    thread_id: UUID
    message_id: UUID | None


class EntryText(NamedTuple):
    """An entry that the searcher may see, with its text.

    The ids are as the engine has them, good for comparing only: of a thousand texts, few become hits.
    """

    entry_id: int
    raw_thread_id: Hashable
    raw_message_id: Any
    text: str

    @property
    def entry(self) -> Entry:
        """The entry without its text."""
        message_id = None if self.raw_message_id is None else _uuid(self.raw_message_id)
        return Entry(self.entry_id, _uuid(self.raw_thread_id), message_id)


def owner_numbers(session: Session, owner_id: UUID) -> tuple[int, int] | None:
    """The number of an owner, and the newest entry's id; None while nothing of theirs is indexed."""
    found = rows(session, _NUMBERS, {"owner_id": owner_id})
    return (found[0][0], found[0][1]) if found else None


def read_entries(session: Session, scope: SearchScope, ids: Sequence[int]) -> dict[int, Entry]:
    """Those of these entries that are in the scope."""
    found = rows(session, _entries(scope.conditions), {"ids": list(ids), **scope.parameters})
    return {row[0]: Entry(*row) for row in found}


# Most searches have no filter, and then one of two sets of conditions.
@lru_cache(_MOST_KEPT)
def _entries(conditions: tuple[ColumnElement[bool], ...]) -> Select[*tuple[Any, ...]]:
    return (
        select(EntryRow.id, EntryRow.thread_id, EntryRow.message_id)
        .join(ThreadRow, ThreadRow.id == EntryRow.thread_id)
        .where(_AMONG_IDS, *conditions)
    )


def read_texts(
    session: Session, scope: SearchScope, ids: Sequence[int], without: Collection[UUID] = ()
) -> list[EntryText]:
    """Those of these entries that are in the scope, and not of the threads `without`, newest first."""
    found = _texts(scope.conditions).where(_AMONG_IDS, *_not_of(without))
    return _read(session, scope, found, {"ids": list(ids)})


def read_newest(
    session: Session, scope: SearchScope, below: int, most: int, without: Collection[UUID] = ()
) -> list[EntryText]:
    """The newest entries of the scope with ids below `below`, `most` of them, as `read_texts` does."""
    low, high = scope.ids
    found = _texts(scope.conditions).where(EntryRow.id.between(low, min(below - 1, high)), *_not_of(without))
    return _read(session, scope, found.limit(most), {})


@lru_cache(_MOST_KEPT)
def _texts(conditions: tuple[ColumnElement[bool], ...]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            EntryRow.id,
            type_coerce(EntryRow.thread_id, _RAW),
            type_coerce(EntryRow.message_id, _RAW),
            MessageRow.text,
            ThreadRow.title,
            ThreadRow.summary,
        )
        .join(ThreadRow, ThreadRow.id == EntryRow.thread_id)
        .outerjoin(MessageRow, MessageRow.id == EntryRow.message_id)
        .where(*conditions)
        .order_by(EntryRow.id.desc())
    )


def _not_of(threads: Collection[UUID]) -> list[ColumnElement[bool]]:
    return [EntryRow.thread_id.not_in(threads)] if threads else []


def _read(
    session: Session, scope: SearchScope, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]
) -> list[EntryText]:
    found = rows(session, statement, {**parameters, **scope.parameters})
    return [
        EntryText(id_, thread_id, message_id, thread_text(title, summary) if message_id is None else said)
        for id_, thread_id, message_id, said, title, summary in found
    ]


def _uuid(raw: Any) -> UUID:
    return raw if isinstance(raw, UUID) else UUID(raw)


def long_entries(session: Session, scope: SearchScope) -> list[int]:
    """The owner's entries that have no trigrams, newest first."""
    low, high = scope.ids
    # Written as in the partial index: SQLite takes `is_long = 1` for another condition.
    long = select(EntryRow.id).where(text("search_entries.is_long"), EntryRow.id.between(low, high))
    return list(session.scalars(long.order_by(EntryRow.id.desc())))
