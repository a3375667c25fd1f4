"""Slices of the messages of many threads at once.

Positions are dense, so any slice of a thread is a range of its index that is known before it is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, BindParameter, Integer, Select, Uuid, bindparam, column, select, text, true
from sqlalchemy.orm import Session

from core.db.keyset import Slice, Window
from core.db.mapping import ATTACHMENT_COLUMNS, MESSAGE_COLUMNS, to_message
from core.db.messages import by_message
from core.db.models import AttachmentRow, MessageRow, ThreadRow
from core.db.records import Message, Thread


@dataclass(frozen=True, slots=True)
class _Range:
    """Positions from `low` to `high`, of which none may be."""

    thread_id: UUID
    low: int
    high: int
    has_next: bool
    has_previous: bool
    total: int


def slices_of_messages(
    session: Session, owner_id: UUID, thread_windows: Sequence[tuple[Thread, Window[int]]]
) -> list[Slice[Message]]:
    """A slice of each thread's messages, newest first, keyed by position, in the order asked for.

    Two statements in all. A thread of anybody else than the owner yields no messages.
    """
    ranges = [_range(thread, window) for thread, window in thread_windows]
    found = _read(session, owner_id, {(item.thread_id, item.low, item.high) for item in ranges})
    return [
        Slice(
            tuple(
                found[item.thread_id, position]
                for position in range(item.high, item.low - 1, -1)
                if (item.thread_id, position) in found
            ),
            item.has_next,
            item.has_previous,
            item.total,
        )
        for item in ranges
    ]


def _range(thread: Thread, window: Window[int]) -> _Range:
    """The positions of a window. The list runs from the newest message down to position 1."""
    total, after, before = thread.message_count, window.after, window.before
    high = total if after is None else min(total, after - 1)
    low = 1 if before is None else max(1, before + 1)
    more = high - low + 1 > window.size
    if more and window.is_forward:
        low = high - window.size + 1
    elif more:
        high = low + window.size - 1
    return _Range(
        thread.id,
        low,
        high,
        has_next=(more and window.is_forward) or (before is not None and min(total, before) >= 1),
        has_previous=(more and not window.is_forward) or (after is not None and total >= max(1, after)),
        total=total,
    )


def _read(
    session: Session, owner_id: UUID, ranges: Iterable[tuple[UUID, int, int]]
) -> dict[tuple[UUID, int], Message]:
    wanted = [item for item in ranges if item[1] <= item[2]]
    if not wanted:
        return {}
    # Few sizes, so that each statement is compiled once: the rest is filled with an empty range.
    size = 1 << (len(wanted) - 1).bit_length()
    parameters: dict[str, Any] = {"owner_id": owner_id}
    for number in range(size):
        thread_id, low, high = wanted[number] if number < len(wanted) else (owner_id, 1, 0)
        parameters |= {f"thread_{number}": thread_id, f"low_{number}": low, f"high_{number}": high}
    messages, attachments = _statements(size)
    files = by_message(session.execute(attachments, parameters))
    rows = session.execute(messages, parameters)
    return {(row.thread_id, row.position): to_message(row, files.get(row.id, ())) for row in rows}


@lru_cache(maxsize=32)
def _statements(size: int) -> tuple[Select[Any], Select[Any]]:
    """The messages in this many ranges, and their attachments."""
    ranges = _ranges(size)
    in_range = (MessageRow.thread_id == ranges.c.column1) & MessageRow.position.between(
        ranges.c.column2, ranges.c.column3
    )
    # The owner is asked about so that no index serves it: SQLite would read all threads of the owner.
    is_owner = (ThreadRow.owner_id == bindparam("owner_id", type_=Uuid())).is_(true())
    own = (ThreadRow.id == ranges.c.column1) & is_owner
    messages = select(*MESSAGE_COLUMNS).join_from(ranges, ThreadRow, own).join(MessageRow, in_range)
    attachments = (
        select(*ATTACHMENT_COLUMNS)
        .join_from(ranges, ThreadRow, own)
        .join(MessageRow, in_range)
        .join(AttachmentRow, AttachmentRow.message_id == MessageRow.id)
    )
    return messages, attachments


def _ranges(size: int) -> CTE:
    """A table of parameters. SQLAlchemy's own VALUES would be compiled anew every time."""
    rows = ", ".join(f"(:thread_{number}, :low_{number}, :high_{number})" for number in range(size))
    parameters: list[BindParameter[Any]] = []
    for number in range(size):
        parameters.append(bindparam(f"thread_{number}", type_=Uuid()))
        parameters += (bindparam(f"{name}_{number}", type_=Integer()) for name in ("low", "high"))
    # Both engines name the columns of VALUES so.
    columns = (column("column1", Uuid()), column("column2", Integer()), column("column3", Integer()))
    return text(f"VALUES {rows}").bindparams(*parameters).columns(*columns).cte("ranges")
