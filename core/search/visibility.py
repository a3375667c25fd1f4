"""What a search by meaning needs of the database: the owner's entries as arrays, and what they may be."""

from collections.abc import Collection as AnyCollection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.db.records import SenderType
from core.db.search_models import EntryRow, entry_range
from core.search.entries import microseconds
from core.search.scope_rows import EntryArrays, Rows

_SENDERS: dict[str | None, int] = {None: 0, SenderType.USER: 1, SenderType.ASSISTANT: 2, SenderType.SYSTEM: 3}


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What entries must be, but for what their threads must be."""

    sender: SenderType | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same in SQL."""
        found: list[ColumnElement[bool]] = []
        if self.sender is not None:
            found.append(EntryRow.sender_type == self.sender)
        if self.since is not None:
            found.append(EntryRow.created_at >= microseconds(self.since))
        if self.until is not None:
            found.append(EntryRow.created_at < microseconds(self.until))
        return found


def load_entries(session: Session, number: int, after: int, collection: int) -> EntryArrays:
    """The entries of the owner with this number above `after`; those not in the collection have no pieces."""
    low, high = entry_range(number)
    rows = session.execute(
        select(
            EntryRow.id,
            EntryRow.pieces,
            EntryRow.embedded_in,
            EntryRow.thread_id,
            EntryRow.sender_type,
            EntryRow.created_at,
        )
        .where(EntryRow.id > max(after, low - 1), EntryRow.id <= high)
        .order_by(EntryRow.id)
    ).all()
    return EntryArrays(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] if row[2] >= collection else 0 for row in rows], dtype=np.int32),
        numbers_of([row[3] for row in rows]),
        np.array([_SENDERS[row[4]] for row in rows], dtype=np.int8),
        np.array([row[5] for row in rows], dtype=np.int64),
    )


def numbers_of(thread_ids: AnyCollection[UUID]) -> NDArray[np.int32]:
    """Threads by some of the random bits of their ids: two that share them are told apart by SQL later."""
    return np.array([thread_id.int & 0x7FFFFFFF for thread_id in thread_ids], dtype=np.int32)


def mask(
    rows: Rows, wanted: EntryFilter, threads: AnyCollection[UUID], *, are_hidden: bool
) -> NDArray[np.bool_] | None:
    """Which pieces may be found: in these threads, or in all but these if they are hidden. None: all."""
    masks: list[NDArray[np.bool_]] = []
    if threads or not are_hidden:
        masks.append(np.isin(rows.thread_numbers, numbers_of(threads), invert=are_hidden))
    if wanted.sender is not None:
        masks.append(rows.senders == _SENDERS[wanted.sender])
    if wanted.since is not None:
        masks.append(rows.created_at >= microseconds(wanted.since))
    if wanted.until is not None:
        masks.append(rows.created_at < microseconds(wanted.until))
    return np.logical_and.reduce(masks) if masks else None
