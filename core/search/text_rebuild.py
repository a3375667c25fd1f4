"""The trigram index is made anew, a little at a time, while the one that there is answers.

One call is one transaction, and how far it has come is in the database: whoever goes on, goes on from there.
On SQLite another table is filled and then takes the place of the first, in which texts that are gone have
left their trigrams. On PostgreSQL each row of the table is compared with its text, and its index, which
follows every row, is the business of autovacuum.
"""

from collections.abc import Sequence
from itertools import accumulate, takewhile

from sqlalchemy import Row, case, delete, func, select, text, update
from sqlalchemy.orm import Session

from core.db.models import MessageRow, ThreadRow
from core.db.search_models import EntryRow, TextRebuildRow
from core.search.entries import MOST_CHARACTERS, MOST_ROWS, thread_text
from core.search.folding import folded
from core.search.trigrams import is_sqlite, rebuilt_until

# Pages of FTS5, of 4 KB, that one transaction removes.
_MOST_PAGES = 500

# As in the migration that made the first one.
_CREATE = (
    "CREATE VIRTUAL TABLE search_trigrams_new USING fts5("
    "text, content='', detail='none', columnsize=0, tokenize='trigram case_sensitive 1')"
)
_HAS_OLD = text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'search_trigrams_old'")
_REMOVE_SOME_OF_OLD = (
    text(
        # The rows below describe the rest: without them, the table could not even be dropped.
        "DELETE FROM search_trigrams_old_data WHERE id IN"
        " (SELECT id FROM search_trigrams_old_data WHERE id > 10 LIMIT :most)"
    ),
    text(
        "DELETE FROM search_trigrams_old_idx WHERE (segid, term) IN"
        " (SELECT segid, term FROM search_trigrams_old_idx LIMIT :most)"
    ),
)
_ADD_TO_NEW = text("INSERT INTO search_trigrams_new (rowid, text) VALUES (:id, :text)")
_PUT = text(
    "INSERT INTO search_trigrams (rowid, text) VALUES (:id, :text)"
    " ON CONFLICT (rowid) DO UPDATE SET text = excluded.text WHERE search_trigrams.text <> excluded.text"
)
_REMOVE_STRAYS = text(
    "DELETE FROM search_trigrams WHERE rowid > :after AND (CAST(:last AS bigint) IS NULL OR rowid <= :last)"
    " AND NOT EXISTS (SELECT 1 FROM search_entries WHERE search_entries.id = search_trigrams.rowid)"
)


def begin_rebuild(session: Session) -> None:
    """Have the index made anew; what is being made already is gone on with."""
    if rebuilt_until(session) is not None:
        return
    session.add(TextRebuildRow(id=1, after=0))
    if is_sqlite(session):
        session.execute(text(_CREATE))


def is_rebuilding(session: Session) -> bool:
    """Whether anything is left to be done, be it only to clear away."""
    return rebuilt_until(session) is not None or _has_old(session)


def rebuild_some(session: Session) -> bool:
    """Do the next part. False: nothing is left, or another process is at it."""
    if _has_old(session):
        _remove_some_of_old(session)
        return True
    after = session.scalar(select(TextRebuildRow.after).with_for_update(skip_locked=True))
    if after is None:
        return False
    entries = _next_entries(session, after)
    last = entries[-1].id if entries else None
    _put(session, after, last, _texts(session, [entry.id for entry in entries if not entry.is_long]))
    if last is None:
        _finish(session)
    else:
        session.execute(update(TextRebuildRow).values(after=last))
    return True


def _next_entries(session: Session, after: int) -> Sequence[Row[int, bool, int]]:
    """Entries above this one, as many as one transaction may take; locked, so that none goes meanwhile."""
    length = case((EntryRow.is_long, 0), else_=func.coalesce(func.length(MessageRow.text), 0))
    found = session.execute(
        select(EntryRow.id, EntryRow.is_long, length)
        .outerjoin(MessageRow, MessageRow.id == EntryRow.message_id)
        .where(EntryRow.id > after)
        .order_by(EntryRow.id)
        .limit(MOST_ROWS)
        .with_for_update(of=EntryRow)
    ).all()
    sums = accumulate(length for _, _, length in found)
    fitting = max(1, sum(1 for _ in takewhile(lambda total: total <= MOST_CHARACTERS, sums)))
    return found[:fitting]


def _texts(session: Session, ids: Sequence[int]) -> list[dict[str, object]]:
    found = session.execute(
        select(EntryRow.id, EntryRow.message_id, MessageRow.text, ThreadRow.title, ThreadRow.summary)
        .join(ThreadRow, ThreadRow.id == EntryRow.thread_id)
        .outerjoin(MessageRow, MessageRow.id == EntryRow.message_id)
        .where(EntryRow.id.in_(ids))
        .order_by(EntryRow.id)
    )
    return [
        {"id": id_, "text": folded(said if message_id else thread_text(title, summary))}
        for id_, message_id, said, title, summary in found
    ]


def _put(session: Session, after: int, last: int | None, texts: list[dict[str, object]]) -> None:
    connection = session.connection()
    if texts:
        connection.execute(_ADD_TO_NEW if is_sqlite(session) else _PUT, texts)
    if not is_sqlite(session):
        connection.execute(_REMOVE_STRAYS, {"after": after, "last": last})


def _finish(session: Session) -> None:
    if is_sqlite(session):
        session.execute(text("ALTER TABLE search_trigrams RENAME TO search_trigrams_old"))
        session.execute(text("ALTER TABLE search_trigrams_new RENAME TO search_trigrams"))
    session.execute(delete(TextRebuildRow))


def _has_old(session: Session) -> bool:
    return is_sqlite(session) and session.scalar(_HAS_OLD) is not None


def _remove_some_of_old(session: Session) -> None:
    """Remove a part of the table that was replaced: to drop it whole would hold the writer for long."""
    connection, most = session.connection(), {"most": _MOST_PAGES}
    if max([connection.execute(statement, most).rowcount for statement in _REMOVE_SOME_OF_OLD]) < _MOST_PAGES:
        session.execute(text("DROP TABLE search_trigrams_old"))
