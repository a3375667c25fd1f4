"""How the server is, for administrators: what operators ask first."""

import asyncio
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.models import RunRow
from core.errors import NotAllowed, ProviderError, ProviderOff
from core.resolvers.search import SearchDisabled
from core.resolvers.search_status import texts_waiting
from core.runs.store import STARTED
from core.version import __version__

# The provider's own limit is that of an answer: nobody waits so long for a word on how things are.
PATIENCE_SECONDS = 5

_UNFINISHED: Final[ColumnElement[bool]] = RunRow.finished_at.is_(None)


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One look at the server: at all of its processes, but for the troubles, which are this one's.

    A trouble is a sentence, and None while all is well. `pending_texts` wait to be indexed; of the answers,
    `queued_runs` wait for their turn and `active_runs` are being written.
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

    def work(session: Session) -> tuple[int, int, int]:
        unfinished = select(func.count()).where(_UNFINISHED)
        total = session.scalar(unfinished) or 0
        active = session.scalar(unfinished.where(RunRow.status.in_(STARTED))) or 0
        return texts_waiting(session)[0], total - active, active

    provider_trouble, (pending, queued, active) = await asyncio.gather(
        _provider_trouble(ctx), ctx.db.read(work)
    )
    health = ctx.search.health
    return ServerStatus(
        version=__version__,
        provider_trouble=provider_trouble,
        index_trouble=health.trouble if ctx.settings.search_enabled else str(SearchDisabled()),
        embedding_model=health.model,
        pending_texts=pending,
        queued_runs=queued,
        active_runs=active,
    )


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
