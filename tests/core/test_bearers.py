"""Bearers: a token is watched until it stops counting, and its client is told why."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from core.auth.bearers import Bearer
from core.context import Context, Services
from core.db.models import UserRow
from core.db.session import DatabaseUnavailable
from core.errors import Unauthenticated
from core.resolvers import bearers
from core.resolvers.auth import authenticate, logout
from core.resolvers.bearers import authenticate_bearer, until_revoked
from core.resolvers.users import update_user
from core.signals import user_topic

PATIENCE = 10.0


async def sign_in(ctx: Context) -> Bearer:
    """Present a fresh access token of the caller's."""
    return await authenticate_bearer(ctx, ctx.tokens.issue(ctx.user).access_token)


async def watched(ctx: Context, bearer: Bearer) -> asyncio.Task[str]:
    """A watch over the bearer that has found nothing to say so far."""
    task = asyncio.create_task(until_revoked(ctx, bearer))
    for _ in range(3):  # it has looked by the time these reads are answered
        await ctx.db.ping()
    assert not task.done()
    return task


async def told(task: asyncio.Task[str]) -> str:
    return await asyncio.wait_for(task, PATIENCE)


def change(ctx: Context, **values: Any) -> Awaitable[None]:
    """Change the caller's account past the product: no signal is published."""

    def work(session: Session) -> None:
        session.execute(update(UserRow).where(UserRow.id == ctx.user.id).values(**values))

    return ctx.db.write(work)


async def test_a_bearer_is_who_holds_the_token_and_until_when(ctx: Context) -> None:
    bearer = await sign_in(ctx)
    lifetime = timedelta(minutes=ctx.settings.access_token_expire_minutes)
    assert bearer.user == ctx.user == await authenticate(ctx, bearer.token)
    assert timedelta(0) <= lifetime - (bearer.expires_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert bearer.token not in repr(bearer)


async def test_a_refresh_token_is_no_access_token(ctx: Context) -> None:
    with pytest.raises(Unauthenticated):
        await authenticate_bearer(ctx, ctx.tokens.issue(ctx.user).refresh_token)


Revoke = Callable[[Context, Context], Awaitable[Any]]
REVOKED: dict[str, Revoke] = {
    "logout": lambda ctx, _: logout(ctx),
    "deactivation": lambda ctx, admin: update_user(admin, ctx.user.id, is_active=False),
    "new password": lambda ctx, admin: update_user(admin, ctx.user.id, password="another"),
}
CHANGED: dict[str, Revoke] = {
    "role": lambda ctx, admin: update_user(admin, ctx.user.id, roles=["editor"]),
    "products": lambda ctx, admin: update_user(admin, ctx.user.id, allowed_products=["p"]),
    "agents": lambda ctx, admin: update_user(admin, ctx.user.id, allowed_agents=["a"]),
}


@pytest.mark.parametrize("revoke", REVOKED.values(), ids=REVOKED)
async def test_a_revoked_token_is_told_at_once(ctx: Context, admin_ctx: Context, revoke: Revoke) -> None:
    watch = await watched(ctx, await sign_in(ctx))
    await revoke(ctx, admin_ctx)
    assert await told(watch) == bearers.REVOKED


@pytest.mark.parametrize("alter", CHANGED.values(), ids=CHANGED)
async def test_changed_permissions_are_told_at_once(ctx: Context, admin_ctx: Context, alter: Revoke) -> None:
    watch = await watched(ctx, await sign_in(ctx))
    await alter(ctx, admin_ctx)
    assert await told(watch) == bearers.CHANGED


async def test_other_changes_of_the_account_and_of_other_accounts_are_none(
    ctx: Context, stranger: Context, admin_ctx: Context
) -> None:
    watch = await watched(ctx, await sign_in(ctx))
    await update_user(admin_ctx, ctx.user.id, full_name="Ada", roles=[], allowed_products=[])
    await logout(stranger)
    for _ in range(3):
        await ctx.db.ping()
    assert not watch.done()
    await logout(ctx)
    assert await told(watch) == bearers.REVOKED


async def test_what_happened_before_the_watch_began_is_told(ctx: Context) -> None:
    bearer = await sign_in(ctx)
    await logout(ctx)
    assert await asyncio.wait_for(until_revoked(ctx, bearer), PATIENCE) == bearers.REVOKED


async def test_a_token_that_has_expired_is_told(ctx: Context) -> None:
    bearer = await sign_in(ctx)
    soon = replace(bearer, expires_at=datetime.now(UTC) + timedelta(milliseconds=50))
    assert await asyncio.wait_for(until_revoked(ctx, soon), PATIENCE) == bearers.EXPIRED


async def test_a_lost_signal_delays_the_word_until_the_next_poll(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bearers, "POLL_SECONDS", 0.01)
    watch = await watched(ctx, await sign_in(ctx))
    await change(ctx, is_active=False)
    assert await told(watch) == bearers.REVOKED


async def test_an_account_that_is_gone_is_told(ctx: Context) -> None:
    watch = await watched(ctx, await sign_in(ctx))
    await ctx.db.write(
        lambda session: session.execute(delete(UserRow).where(UserRow.id == ctx.user.id)).close()
    )
    ctx.signals.publish(user_topic(ctx.user.id))
    assert await told(watch) == bearers.REVOKED


async def test_a_database_that_is_away_ends_no_watch(
    services: Services, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([DatabaseUnavailable(), DatabaseUnavailable()])
    monkeypatch.setattr(bearers, "POLL_SECONDS", 0.01)
    bearer, read = await sign_in(ctx), type(services.db).read

    async def away(*arguments: Any) -> Any:
        for failure in failures:
            raise failure
        return await read(*arguments)

    await change(ctx, is_active=False)
    monkeypatch.setattr(type(services.db), "read", away)
    assert await asyncio.wait_for(until_revoked(ctx, bearer), PATIENCE) == bearers.REVOKED
    assert next(failures, None) is None
