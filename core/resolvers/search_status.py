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
    pending, oldest = await ctx.db.read(lambda session: _pending(session, user_id))
    health = ctx.search.health
    return SearchStatus(oldest or now(), pending, health.model, health.trouble)


def _pending(session: Session, user_id: UUID) -> tuple[int, datetime | None]:
    """How many texts wait, and since when the oldest of them is there."""
    own = ThreadRow.owner_id == user_id
    counts: list[tuple[int, datetime | None]] = []
    messages = select(func.count(), func.min(MessageRow.created_at)).join(
        ThreadRow, ThreadRow.id == MessageRow.thread_id
    )
    threads = select(func.count(), func.min(ThreadRow.created_at))
    for query in (
        messages.where(MessageRow.entry_id.is_(None), own),
        threads.where(ThreadRow.entry_id.is_(None), own),
    ):
        count, oldest = session.execute(query).one()
        counts.append((count, oldest))
    numbers = owner_numbers(session, user_id)
    if numbers is not None:
        low, high = entry_range(numbers[0])
        live = live_collection(session)
        waiting = select(func.count(), func.min(EntryRow.created_at)).where(
            EntryRow.id.between(low, high), EntryRow.embedded_in < (live.number if live else 1)
        )
        count, since = session.execute(waiting).one()
        counts.append((count, _EPOCH + timedelta(microseconds=since) if count else None))
    return sum(count for count, _ in counts), min((at for _, at in counts if at is not None), default=None)
