"""Who holds a token, and until when it counts."""

from datetime import UTC, datetime
from random import random
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from core.auth.bearers import POLL_SECONDS, Bearer
from core.auth.tokens import TokenClaims, TokenType
from core.context import Context
from core.db.mapping import to_user
from core.db.models import UserRow
from core.db.records import User
from core.db.session import DatabaseUnavailable
from core.errors import Unauthenticated
from core.logs import bind_ids, get_logger
from core.signals import user_topic

SELDOM_SECONDS: Final = 60.0

_logger = get_logger(__name__)

EXPIRED = "This token has expired; refresh it, or sign in again"
REVOKED = "This token is no longer valid; sign in again"
CHANGED = "Your permissions have changed; refresh the token, or sign in again"


async def authenticate_bearer(ctx: Context, token: str) -> Bearer:
    """Who holds this access token. Raises `Unauthenticated`."""
    bearer = ctx.bearers.get(token)
    if bearer is None:
        claims = ctx.tokens.check(token, "access")
        bearer = await ctx.bearers.learn(token, claims.user_id, lambda: _bearer(ctx, token, claims))
    bind_ids(user_id=bearer.user.id)
    return bearer


async def bearer_of(ctx: Context, token: str, token_type: TokenType) -> Bearer:
    """Who holds this token of this type. Raises `Unauthenticated`."""
    return await _bearer(ctx, token, ctx.tokens.check(token, token_type))


async def _bearer(ctx: Context, token: str, claims: TokenClaims) -> Bearer:
    user = await _user(ctx, claims.user_id)
    if user is None or not user.is_active or user.token_version != claims.token_version:
        raise Unauthenticated("This token is no longer valid")
    return Bearer(token, user, claims.expires_at)


async def until_revoked(ctx: Context, bearer: Bearer) -> str:
    """Return once the token stops counting, or grants other things than it did: why, for the client.

    It stops when it expires, when it is revoked, and when its user is deactivated or gone.
    """
    with ctx.signals.listen(user_topic(bearer.user.id)) as listener:
        # Looked at once before any signal: it may have come since the token was presented.
        while (seconds := (bearer.expires_at - datetime.now(UTC)).total_seconds()) > 0:
            reason = await _end(ctx, bearer)
            if reason is not None:
                return reason
            await listener.wait(min(seconds, POLL_SECONDS))
    return EXPIRED


async def until_locked_out(ctx: Context) -> None:
    """Return once the caller is deactivated, gone, or signed out everywhere.

    Unlike `until_revoked`, this lets a token expire: who was let in is answered to the end.
    """
    user = ctx.user
    with ctx.signals.listen(user_topic(user.id)) as listener:
        while True:
            # What is changed past the server is seen later than with a token, and not by all at once.
            await listener.wait(SELDOM_SECONDS * (0.5 + random()))  # noqa: S311 - nothing to be guessed
            try:
                found = await _user(ctx, user.id)
            except DatabaseUnavailable:
                continue  # it could not tell
            except Exception:
                _logger.exception("it is not known whether a reader may read on")
                continue
            if found is None or not found.is_active or found.token_version != user.token_version:
                return


async def _end(ctx: Context, bearer: Bearer) -> str | None:
    """Why the token counts no more, or no more as it did; None while it does."""
    try:
        user = await _user(ctx, bearer.user.id)
    except DatabaseUnavailable:
        return None  # it could not tell; the next poll asks again
    if user is None or not user.is_active or user.token_version != bearer.user.token_version:
        return REVOKED
    return None if _permissions(user) == _permissions(bearer.user) else CHANGED


def _permissions(user: User) -> tuple[frozenset[str], ...]:
    return frozenset(user.roles), frozenset(user.allowed_products), frozenset(user.allowed_agents)


async def _user(ctx: Context, user_id: UUID) -> User | None:
    def work(session: Session) -> User | None:
        row = session.get(UserRow, user_id)
        return to_user(row) if row is not None else None

    return await ctx.db.read(work)
