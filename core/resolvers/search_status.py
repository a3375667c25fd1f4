"""How far the search index has come with the caller's texts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.models import MessageRow, ThreadRow, now
from core.db.search_models import EntryRow, entry_range
from core.search.collections import live_collection
from core.search.scope import owner_numbers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """What of the caller's is indexed.

    `pending` texts still wait for their vectors, or for everything; what is older than `indexed_through`
    does not. `trouble` is why nothing moves on, for operators; None while all is well.
    """

    indexed_through: datetime
    pending: int
    model: str
    trouble: str | None

    @property
    def is_healthy(self) -> bool:
        """Whether search by meaning works, and keeps up."""
        return self.trouble is None


async def search_status(ctx: Context) -> SearchStatus:
    """How far the index has come with what is the caller's, be it deleted or not."""
    user_id = ctx.user.id
    pending, oldest = await ctx.db.read(lambda session: texts_waiting(session, user_id))
    health = ctx.search.health
    return SearchStatus(oldest or now(), pending, health.model, health.trouble)


def texts_waiting(session: Session, owner_id: UUID | None = None) -> tuple[int, datetime | None]:
    """How many texts wait, and since when the oldest of them is there: of one owner, or of everybody."""
    messages = select(func.count(), func.min(MessageRow.created_at)).where(MessageRow.entry_id.is_(None))
    threads = select(func.count(), func.min(ThreadRow.created_at)).where(ThreadRow.entry_id.is_(None))
    if owner_id is not None:
        own = ThreadRow.owner_id == owner_id
        messages = messages.join(ThreadRow, ThreadRow.id == MessageRow.thread_id).where(own)
        threads = threads.where(own)
    counts: list[tuple[int, datetime | None]] = []
    for query in (messages, threads):
        count, oldest = session.execute(query).one()
        counts.append((count, oldest))
    counts.append(_vectors_waiting(session, owner_id))
    return sum(count for count, _ in counts), min((at for _, at in counts if at is not None), default=None)


def _vectors_waiting(session: Session, owner_id: UUID | None) -> tuple[int, datetime | None]:
    live = live_collection(session)
    waiting = select(func.count(), func.min(EntryRow.created_at)).where(
        EntryRow.embedded_in < (live.number if live else 1)
    )
    if owner_id is not None:
        numbers = owner_numbers(session, owner_id)
        if numbers is None:
            return 0, None
        waiting = waiting.where(EntryRow.id.between(*entry_range(numbers[0])))
    count, since = session.execute(waiting).one()
    return count, _EPOCH + timedelta(microseconds=since) if count else None
