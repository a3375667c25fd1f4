"""How the server is, for administrators: what operators ask first."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.models import MessageRow, RunRow, ThreadRow
from core.db.search_models import EntryRow
from core.errors import NotAllowed, ProviderError, ProviderOff
from core.resolvers.search import SearchDisabled
from core.runs.store import STARTED
from core.search.collections import live_collection
from core.version import __version__

# The provider's own limit is that of an answer: nobody waits so long for a word on how things are.
PATIENCE_SECONDS = 5

# Of texts that wait, so many are counted: an index that is far behind would take long to count.
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One look at the server: at all of its processes, but for the troubles, which are this one's.

    A trouble is a sentence, and None while all is well. `pending_texts` wait to be indexed, and are counted
    up to `MOST_COUNTED`; of the answers, `queued_runs` wait for their turn and `active_runs` are being
    written.
    """

    version: str
    provider_trouble: str | None
    index_trouble: str | None
    embedding_model: str
    pending_texts: int
    queued_runs: int
    active_runs: int


async def server_status(ctx: Context) -> ServerStatus:
    """How the server is. Asks the provider, and waits for it for 5 s at most. Raises `NotAllowed`."""
    if not ctx.user.is_admin:
        raise NotAllowed("Only administrators see how the server is")

    is_searched = ctx.settings.search_enabled

    def work(session: Session) -> tuple[int, int, int]:
        by_status = select(RunRow.status, func.count()).where(RunRow.finished_at.is_(None))
        runs = dict(session.execute(by_status.group_by(RunRow.status)).tuples().all())
        active = sum(runs.pop(status, 0) for status in STARTED)
        return _texts_waiting(session) if is_searched else 0, sum(runs.values()), active

    provider_trouble, (pending, queued, active) = await asyncio.gather(
        _provider_trouble(ctx), ctx.db.read(work)
    )
    health = ctx.search.health
    return ServerStatus(
        version=__version__,
        provider_trouble=provider_trouble,
        index_trouble=health.trouble if is_searched else str(SearchDisabled()),
        embedding_model=health.model,
        pending_texts=pending,
        queued_runs=queued,
        active_runs=active,
    )


def _texts_waiting(session: Session) -> int:
    """How many texts of everybody's wait for their words or their vectors; counted up to a limit."""
    live = live_collection(session)
    waiting = (
        select(MessageRow.id).where(MessageRow.entry_id.is_(None)),
        select(ThreadRow.id).where(ThreadRow.entry_id.is_(None)),
        select(EntryRow.id).where(EntryRow.embedded_in < (live.number if live else 1)),
    )
    found = 0
    for query in waiting:
        some = query.limit(MOST_COUNTED - found).subquery()
        found += session.scalar(select(func.count()).select_from(some)) or 0
    return found


async def _provider_trouble(ctx: Context) -> str | None:
    if not ctx.settings.llm_enabled:
        return str(ProviderOff())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ctx.provider.list_models()
    except ProviderError as error:
        return str(error)
    except TimeoutError:
        return f"The LLM provider has not listed its models within {PATIENCE_SECONDS} seconds"
    return None
