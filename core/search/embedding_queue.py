"""What is still to be embedded, and what has been: the rows' side of the second half of indexing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from core.db.models import MessageRow, ThreadRow
from core.db.search_models import DiscardedEntryRow, EntryRow
from core.search.entries import thread_text
from core.search.trigrams import remove_texts

# Texts read at once, and how much of each: more than a text's most pieces can hold.
MOST_TEXTS = 64
LONGEST_EMBEDDED = 300_000
MOST_DISCARDED = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry without vectors in a collection; `pieces` it has in the one before, 0 if it is in none."""

    entry_id: int
    text: str
    pieces: int


@dataclass(frozen=True, slots=True)
class Discarded:
    """An entry that is gone."""

    entry_id: int
    pieces: int


def waiting_entries(session: Session, number: int) -> list[Waiting]:
    """Entries that are not in the collection with this number: the newest of the new ones come first."""
    text = func.substr(MessageRow.text, 1, LONGEST_EMBEDDED)
    query = (
        select(
            EntryRow.id,
            EntryRow.embedded_in,
            EntryRow.pieces,
            EntryRow.message_id,
            text,
            ThreadRow.title,
            ThreadRow.summary,
        )
        .join(ThreadRow, ThreadRow.id == EntryRow.thread_id)
        .outerjoin(MessageRow, MessageRow.id == EntryRow.message_id)
        .limit(MOST_TEXTS)
    )
    # Two queries: each is one range of the index, and a whole history that waits must not hide what is new.
    new = query.where(EntryRow.embedded_in == 0).order_by(EntryRow.created_at.desc())
    old = query.where(EntryRow.embedded_in > 0, EntryRow.embedded_in < number)
    rows = session.execute(new).all() or session.execute(old).all()
    return [
        Waiting(id_, beginning if message_id else thread_text(title, summary), pieces if embedded_in else 0)
        for id_, embedded_in, pieces, message_id, beginning, title, summary in rows
    ]


def mark_embedded(session: Session, number: int, pieces: dict[int, int], first: int) -> list[int]:
    """Note that these entries are in the collection, with so many pieces each; those that are gone.

    What was in none is in all from that with the number `first` on.
    """
    since = case((EntryRow.embedded_in == 0, first), else_=EntryRow.embedded_from)
    there = set(session.scalars(select(EntryRow.id).where(EntryRow.id.in_(list(pieces))).with_for_update()))
    for entry_id in sorted(there):
        session.execute(
            update(EntryRow)
            .where(EntryRow.id == entry_id)
            .values(embedded_in=number, embedded_from=since, pieces=pieces[entry_id])
            .execution_options(synchronize_session=False)
        )
    return [entry_id for entry_id in pieces if entry_id not in there]


def discarded_entries(session: Session) -> list[Discarded]:
    """Some of the entries whose vectors are to be removed."""
    rows = session.execute(select(DiscardedEntryRow.id, DiscardedEntryRow.pieces).limit(MOST_DISCARDED))
    return [Discarded(id_, pieces) for id_, pieces in rows]


def forget_discarded(session: Session, ids: Sequence[int]) -> None:
    """Note that nothing of these is left in any index."""
    remove_texts(session, ids)
    session.execute(delete(DiscardedEntryRow).where(DiscardedEntryRow.id.in_(list(ids))))
