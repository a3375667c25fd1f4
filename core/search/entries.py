"""The first half of indexing: every text gets an entry, and its trigrams into the index of texts.

One call is one transaction: rows are marked in the transaction that writes their entries, so that a
process that is killed leaves nothing half done. It needs no model, so texts and patterns are found
also while embeddings are not to be had.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from core.db.models import MessageRow, ThreadRow
from core.db.search_models import NOTHING, EntryRow, SearchOwnerRow, entry_range
from core.search.folding import folded
from core.search.trigrams import add_texts

# One transaction holds the only writer of SQLite: about 10 ms of trigrams.
MOST_ROWS = 200
MOST_CHARACTERS = 100_000
# Longer texts would hold it for longer, and have nearly every trigram anyway.
LONGEST_INDEXED = 100_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Unindexed:
    """A row without an entry."""

    owner_id: UUID
    thread_id: UUID
    message_id: UUID | None
    position: int
    sender_type: str | None
    created_at: datetime
    text: str
    is_long: bool


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def thread_text(title: str | None, summary: str | None) -> str:
    """The text of a thread's own entry: title and summary, a line each."""
    return "\n".join(part for part in (title, summary) if part)


def has_unindexed(session: Session) -> bool:
    """Whether any row has no entry."""
    threads = select(exists(select(ThreadRow.id).where(ThreadRow.entry_id.is_(None))))
    messages = select(exists(select(MessageRow.id).where(MessageRow.entry_id.is_(None))))
    return bool(session.scalar(messages) or session.scalar(threads))


def index_texts(session: Session) -> int:
    """Give entries to the oldest rows that have none; how many. 0: nothing is left, or others have it."""
    rows = _threads(session) or _messages(session)
    entries = _number(session, [row for row in rows if row.text.strip() or row.is_long])
    if entries:
        session.execute(insert(EntryRow), [_entry(id_, row) for id_, row in entries])
        add_texts(session, [(id_, folded(row.text)) for id_, row in entries if not row.is_long])
    _mark(session, rows, {row.message_id or row.thread_id: id_ for id_, row in entries})
    return len(rows)


def _messages(session: Session) -> list[Unindexed]:
    lengths = session.execute(
        select(MessageRow.id, func.length(MessageRow.text))
        .where(MessageRow.entry_id.is_(None))
        .order_by(MessageRow.id)
        .limit(MOST_ROWS)
        .with_for_update(skip_locked=True)
    ).all()
    sums = accumulate(min(length, LONGEST_INDEXED) for _, length in lengths)
    fitting = max(1, sum(1 for _ in takewhile(lambda total: total <= MOST_CHARACTERS, sums)))
    long = {id_ for id_, length in lengths[:fitting] if length > LONGEST_INDEXED}
    rows = _read_messages(session, [id_ for id_, _ in lengths[:fitting] if id_ not in long])
    return [*rows, *_read_messages(session, long, are_long=True)]


def _read_messages(session: Session, ids: Iterable[UUID], *, are_long: bool = False) -> list[Unindexed]:
    ids = list(ids)
    if not ids:
        return []
    text: Any = func.substr(MessageRow.text, 1, 0) if are_long else MessageRow.text
    found = session.execute(
        select(
            ThreadRow.owner_id,
            MessageRow.thread_id,
            MessageRow.id,
            MessageRow.position,
            MessageRow.sender_type,
            MessageRow.created_at,
            text,
            literal(are_long),
        )
        .join(ThreadRow, ThreadRow.id == MessageRow.thread_id)
        .where(MessageRow.id.in_(ids))
        .order_by(MessageRow.id)
    )
    return [Unindexed(*row) for row in found]


def _threads(session: Session) -> list[Unindexed]:
    found = session.execute(
        select(ThreadRow.owner_id, ThreadRow.id, ThreadRow.created_at, ThreadRow.title, ThreadRow.summary)
        .where(ThreadRow.entry_id.is_(None))
        .order_by(ThreadRow.id)
        .limit(MOST_ROWS)
        .with_for_update(skip_locked=True)
    )
    return [
        Unindexed(owner_id, thread_id, None, 0, None, created_at, thread_text(title, summary), is_long=False)
        for owner_id, thread_id, created_at, title, summary in found
    ]


def _number(session: Session, rows: list[Unindexed]) -> list[tuple[int, Unindexed]]:
    """The rows with the ids of their entries, ascending: each owner's come in the rows' own order."""
    numbered: list[tuple[int, Unindexed]] = []
    # In one order everywhere: two transactions that number the same owners must not wait for each other.
    for owner_id in sorted({row.owner_id for row in rows}):
        of_owner = [row for row in rows if row.owner_id == owner_id]
        last = _take(session, owner_id, len(of_owner))
        numbered += zip(range(last - len(of_owner) + 1, last + 1), of_owner, strict=True)
    return sorted(numbered, key=lambda entry: entry[0])


def _take(session: Session, owner_id: UUID, count: int) -> int:
    """The last of `count` new ids of this owner; the owner's row is locked until the commit."""
    taken = (
        update(SearchOwnerRow)
        .where(SearchOwnerRow.owner_id == owner_id)
        .values(last_id=SearchOwnerRow.last_id + count)
        .returning(SearchOwnerRow.last_id)
        .execution_options(synchronize_session=False)
    )
    last = session.scalar(taken)
    if last is None:
        _add_owner(session, owner_id)
        last = session.scalars(taken).one()
    return last


def _add_owner(session: Session, owner_id: UUID) -> None:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    new = (sqlite_insert if is_sqlite else postgresql_insert)(SearchOwnerRow)
    # Another process may add the owner at the same time: then that one's number counts.
    session.execute(new.values(owner_id=owner_id, last_id=0).on_conflict_do_nothing())
    session.execute(
        update(SearchOwnerRow)
        .where(SearchOwnerRow.owner_id == owner_id, SearchOwnerRow.last_id == 0)
        .values(last_id=SearchOwnerRow.number * (entry_range(1)[0]))
        .execution_options(synchronize_session=False)
    )


def _entry(id_: int, row: Unindexed) -> dict[str, Any]:
    return {
        "id": id_,
        "thread_id": row.thread_id,
        "message_id": row.message_id,
        "position": row.position,
        "sender_type": row.sender_type,
        "created_at": microseconds(row.created_at),
        "is_long": row.is_long,
        "embedded_in": 0,
        "pieces": 0,
    }


def _mark(session: Session, rows: Sequence[Unindexed], entries: dict[UUID, int]) -> None:
    for model in (ThreadRow, MessageRow):
        marks = [
            {"row_id": id_, "entry": entries.get(id_, NOTHING)}
            for row in rows
            if (row.message_id is None) is (model is ThreadRow)
            for id_ in [row.message_id or row.thread_id]
        ]
        if marks:
            table: Any = model.__table__
            session.connection().execute(
                update(table).where(table.c.id == bindparam("row_id")).values(entry_id=bindparam("entry")),
                marks,
            )
