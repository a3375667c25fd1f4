"""Bearers that are known already: no token is looked up twice, and none counts longer than it did."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from core.auth import bearers
from core.auth.bearers import KnownBearers
from core.context import Context, Services
from core.db.models import UserRow
from core.errors import Unauthenticated
from core.resolvers.auth import logout
from core.resolvers.bearers import authenticate_bearer, bearer_of
from core.resolvers.users import update_user

Revoke = Callable[[Context, Context], Awaitable[Any]]
REVOKED: dict[str, Revoke] = {
    "logout": lambda ctx, _: logout(ctx),
    "deactivation": lambda ctx, admin: update_user(admin, ctx.user.id, is_active=False),
    "new password": lambda ctx, admin: update_user(admin, ctx.user.id, password="another"),
}


def token_of(ctx: Context) -> str:
    return ctx.tokens.issue(ctx.user).access_token


async def deactivate_unannounced(ctx: Context) -> None:
    """As another process would that cannot signal."""

    def work(session: Session) -> None:
        session.execute(update(UserRow).where(UserRow.id == ctx.user.id).values(is_active=False))

    await ctx.db.write(work)


async def test_a_token_that_was_presented_before_is_not_looked_up_again(
    services: Services, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(ctx)
    first = await authenticate_bearer(ctx, token)
    monkeypatch.setattr(type(services.db), "read", None)
    assert await authenticate_bearer(ctx, token) is first


@pytest.mark.parametrize("revoke", REVOKED.values(), ids=REVOKED)
async def test_a_revoked_token_is_refused_at_once(ctx: Context, admin_ctx: Context, revoke: Revoke) -> None:
    token = token_of(ctx)
    await authenticate_bearer(ctx, token)
    await revoke(ctx, admin_ctx)
    with pytest.raises(Unauthenticated):
        await authenticate_bearer(ctx, token)


async def test_changed_permissions_count_at_once(ctx: Context, admin_ctx: Context) -> None:
    token = token_of(ctx)
    await authenticate_bearer(ctx, token)
    await update_user(admin_ctx, ctx.user.id, allowed_products=["p"])
    assert (await authenticate_bearer(ctx, token)).user.allowed_products == ("p",)


async def test_what_changes_while_the_account_is_read_is_not_overlooked(ctx: Context) -> None:
    token, bearer = token_of(ctx), await bearer_of(ctx, token_of(ctx), "access")
    known = KnownBearers(ctx.signals)

    async def read() -> bearers.Bearer:
        await logout(ctx)
        return bearer

    assert await known.learn(token, ctx.user.id, read) is bearer
    assert known.get(token) is None


async def test_without_a_signal_a_token_counts_until_the_next_look(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bearers, "POLL_SECONDS", 0.0)
    token = token_of(ctx)
    await authenticate_bearer(ctx, token)
    await deactivate_unannounced(ctx)
    with pytest.raises(Unauthenticated):
        await authenticate_bearer(ctx, token)


async def test_a_known_bearer_expires(ctx: Context) -> None:
    token, known = token_of(ctx), KnownBearers(ctx.signals)
    bearer = replace(await bearer_of(ctx, token, "access"), expires_at=datetime.now(UTC))

    async def read() -> bearers.Bearer:
        return bearer

    await known.learn(token, ctx.user.id, read)
    assert known.get(token) is None


async def test_a_refresh_token_that_is_known_as_one_is_no_access_token(ctx: Context) -> None:
    refresh_token = ctx.tokens.issue(ctx.user).refresh_token
    await bearer_of(ctx, refresh_token, "refresh")
    with pytest.raises(Unauthenticated):
        await authenticate_bearer(ctx, refresh_token)


async def test_only_so_many_are_known_and_those_forgotten_are_not_listened_for(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bearers, "_MOST_KNOWN", 2)
    known = KnownBearers(ctx.signals)
    bearer = await bearer_of(ctx, token_of(ctx), "access")

    async def read() -> bearers.Bearer:
        return bearer

    for token in ("a", "b", "a", "c"):
        if known.get(token) is None:
            await known.learn(token, ctx.user.id, read)
    assert [token for token in "abc" if known.get(token)] == ["a", "c"]


async def test_who_learns_the_same_at_once_is_told_the_same(ctx: Context) -> None:
    token = token_of(ctx)
    found = await asyncio.gather(*(authenticate_bearer(ctx, token) for _ in range(10)))
    assert {bearer.user.id for bearer in found} == {ctx.user.id}
    await logout(ctx)
    with pytest.raises(Unauthenticated):
        await authenticate_bearer(ctx, token)
