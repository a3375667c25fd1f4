"""Provider threads: what a provider wants to be told again with the next message of a thread."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Result, select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.changes import touch
from core.db.mapping import PROVIDER_THREAD_COLUMNS, to_provider_thread
from core.db.models import ProviderThreadRow, ThreadRow, now
from core.db.records import ProviderThread, User
from core.errors import ProviderThreadNotFound
from core.resolvers.access import check_json, check_name, own_thread, visible
from core.runs.ending import LONGEST_CONVERSATION_ID
from core.runs.history import PROVIDER

LONGEST_PROVIDER = 64


async def get_provider_thread(ctx: Context, thread_id: UUID, *, provider: str = PROVIDER) -> ProviderThread:
    """The state kept for a provider. Raises `ThreadNotFound`, `NotAllowed`, `ProviderThreadNotFound`."""
    user = ctx.user

    def work(session: Session) -> ProviderThread:
        own_thread(session, user, thread_id)
        row = _find(session, thread_id, provider)
        if row is None:
            raise ProviderThreadNotFound
        return to_provider_thread(row)

    return await ctx.db.read(work)


async def provider_threads_of(
    ctx: Context, thread_ids: Collection[UUID], provider: str = PROVIDER
) -> dict[UUID, ProviderThread]:
    """The state kept for a provider by each of these threads; for the caller's threads that have one."""
    user = ctx.user

    def work(session: Session) -> dict[UUID, ProviderThread]:
        wanted = ProviderThreadRow.thread_id.in_(list(thread_ids)) & (ProviderThreadRow.provider == provider)
        return {row.thread_id: to_provider_thread(row) for row in _visible_where(session, user, wanted)}

    return await ctx.db.read(work)


def load_provider_threads(session: Session, user: User, ids: Collection[UUID]) -> dict[UUID, ProviderThread]:
    """Those of these states that the caller may see, by their own ids."""
    rows = _visible_where(session, user, ProviderThreadRow.id.in_(list(ids)))
    return {row.id: to_provider_thread(row) for row in rows}


async def set_provider_thread(
    ctx: Context,
    thread_id: UUID,
    *,
    provider: str = PROVIDER,
    conversation_id: str | None = None,
    payload: dict[str, Any] | None = None,
) -> ProviderThread:
    """Create or replace the state for a provider. Raises `ThreadNotFound`, `NotAllowed`, `InvalidInput`."""
    user = ctx.user
    check_json("payload", payload)
    check_name("provider", provider, LONGEST_PROVIDER)
    check_name("conversation_id", conversation_id, LONGEST_CONVERSATION_ID)

    def work(session: Session) -> ProviderThread:
        touch(session, own_thread(session, user, thread_id, lock=True))
        row = _find(session, thread_id, provider)
        if row is None:
            row = ProviderThreadRow(thread_id=thread_id, provider=provider)
            session.add(row)
        row.conversation_id = conversation_id
        row.payload = payload or {}
        row.updated_at = now()
        session.flush()
        return to_provider_thread(row)

    return await ctx.db.write(work)


def _visible_where(session: Session, user: User, wanted: ColumnElement[bool]) -> Result[Any]:
    own = visible(session, user)
    return session.execute(
        select(*PROVIDER_THREAD_COLUMNS)
        .join(ThreadRow, ThreadRow.id == ProviderThreadRow.thread_id)
        .where(wanted, *own.conditions),
        own.parameters,
    )


def _find(session: Session, thread_id: UUID, provider: str) -> ProviderThreadRow | None:
    return session.scalars(
        select(ProviderThreadRow).where(
            ProviderThreadRow.thread_id == thread_id, ProviderThreadRow.provider == provider
        )
    ).one_or_none()
