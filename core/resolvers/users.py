"""Accounts: looked at and changed by administrators."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import String, and_, cast, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.context import Context
from core.db.announcements import announce
from core.db.keyset import Order, Slice, Window, read_slice
from core.db.mapping import USER_COLUMNS, to_user
from core.db.models import UserRow, now
from core.db.records import User
from core.errors import LastAdmin, NotAllowed, UserExists, UserNotFound
from core.resolvers.auth import ADMIN, check_account
from core.signals import user_topic

_BY_USERNAME = Order((UserRow.username,))


async def get_user(ctx: Context, user_id: UUID) -> User:
    """The account: the caller's own, or any for administrators. Raises `NotAllowed`, `UserNotFound`."""
    if user_id != ctx.user.id:
        _check_admin(ctx)
    caller = ctx.user
    found = await ctx.db.read(lambda session: load_users(session, caller, [user_id]))
    if user_id not in found:
        raise UserNotFound
    return found[user_id]


def load_users(session: Session, caller: User, ids: Collection[UUID]) -> dict[UUID, User]:
    """Those of these accounts that the caller may see: the own one; all for administrators."""
    wanted = [user_id for user_id in ids if caller.is_admin or user_id == caller.id]
    if not wanted:
        return {}
    rows = session.execute(select(*USER_COLUMNS).where(UserRow.id.in_(wanted)))
    return {row.id: to_user(row) for row in rows}


async def list_users(ctx: Context, window: Window[str], *, with_total: bool = False) -> Slice[User]:
    """All accounts by username, which is their key, for administrators. Raises `NotAllowed`."""
    _check_admin(ctx)

    def work(session: Session) -> Slice[User]:
        found = read_slice(session, select(*USER_COLUMNS), _BY_USERNAME, window.by(lambda name: (name,)))
        total = session.scalar(select(func.count()).select_from(UserRow)) if with_total else None
        return Slice(tuple(map(to_user, found.items)), found.has_next, found.has_previous, total)

    return await ctx.db.read(work)


async def update_user(
    ctx: Context,
    user_id: UUID,
    *,
    email: str | None = None,
    full_name: str | None = None,
    roles: Collection[str] | None = None,
    allowed_products: Collection[str] | None = None,
    allowed_agents: Collection[str] | None = None,
    is_active: bool | None = None,
    password: str | None = None,
) -> User:
    """Change what is not None; an empty email or full name is none. For administrators.

    Deactivation and a new password kill every token of the account. Raises `NotAllowed`, `UserNotFound`,
    `InvalidInput`, `UserExists` if the email is another account's, and `LastAdmin`.
    """
    _check_admin(ctx)
    values: dict[str, Any] = {
        "email": email,
        "full_name": full_name,
        "roles": list(dict.fromkeys(roles)) if roles is not None else None,
        "allowed_products": list(allowed_products) if allowed_products is not None else None,
        "allowed_agents": list(allowed_agents) if allowed_agents is not None else None,
        "is_active": is_active,
    }
    changes = {field: value for field, value in values.items() if value is not None}
    check_account({**changes, **({"password": password} if password is not None else {})})
    if password is not None:
        changes["password_hash"] = await ctx.passwords.hash(password)

    def work(session: Session) -> User:
        row = _locked(session, user_id, changes)
        if "password_hash" in changes or (row.is_active and changes.get("is_active") is False):
            row.token_version += 1
        for field, value in changes.items():
            setattr(row, field, _stored(field, value))
        row.updated_at = now()
        announce(session, user_topic(user_id))
        session.flush()
        return to_user(row)

    try:
        return await ctx.db.write(work)
    except IntegrityError:
        raise UserExists from None


def _check_admin(ctx: Context) -> None:
    if not ctx.user.is_admin:
        raise NotAllowed("Only administrators manage accounts")


def _locked(session: Session, user_id: UUID, changes: dict[str, Any]) -> UserRow:
    """The account, locked. Raises `UserNotFound`, and `LastAdmin` if no administrator would be left."""
    wanted = UserRow.id == user_id
    stays_admin = changes.get("is_active") is not False and ADMIN in changes.get("roles", [ADMIN])
    if not stays_admin:
        # Of two who take each other's role away at once, the second must see what the first has done.
        may_be_admin = cast(UserRow.roles, String).contains(f'"{ADMIN}"', autoescape=True)
        wanted = or_(wanted, and_(UserRow.is_active, may_be_admin))
    rows = session.scalars(
        select(UserRow).where(wanted).order_by(UserRow.id).with_for_update(key_share=True)
    ).all()
    row = next((row for row in rows if row.id == user_id), None)
    if row is None:
        raise UserNotFound
    admins = {row.id for row in rows if row.is_active and ADMIN in row.roles}
    if not stays_admin and admins == {user_id}:
        raise LastAdmin
    return row


def _stored(field: str, value: Any) -> Any:
    if field == "email":
        return value.strip() or None
    return (value or None) if field == "full_name" else value
