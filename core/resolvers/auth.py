"""Signing in and out, and the first account."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.auth.passwords import LONGEST_PASSWORD
from core.auth.tokens import TokenPair
from core.context import Context
from core.db.announcements import announce
from core.db.mapping import to_user
from core.db.models import UserRow, now
from core.db.records import User
from core.errors import InvalidCredentials, InvalidInput, NotAllowed, Unauthenticated, UserExists
from core.plain import storable
from core.resolvers.access import check_length
from core.resolvers.bearers import authenticate_bearer, bearer_of
from core.signals import user_topic

LONGEST_USERNAME = 128
LONGEST_EMAIL = 320
LONGEST_FULL_NAME = 255
ADMIN = "admin"

_LONGEST = {
    "username": LONGEST_USERNAME,
    "email": LONGEST_EMAIL,
    "full_name": LONGEST_FULL_NAME,
    "password": LONGEST_PASSWORD,
}


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to be made."""

    username: str
    password: str
    email: str | None = None
    full_name: str | None = None
    roles: tuple[str, ...] = ()
    allowed_products: tuple[str, ...] = ()
    allowed_agents: tuple[str, ...] = ()
    is_active: bool = True


async def authenticate(context: Context, access_token: str) -> User:
    """The user who holds this token. Raises `Unauthenticated`."""
    return (await authenticate_bearer(context, access_token)).user


async def register(ctx: Context, new: NewUser) -> User:
    """Make an account: the very first by anybody, who becomes admin; later ones by admins.

    Raises `Unauthenticated`, `NotAllowed`, `InvalidInput`, `UserExists`.
    """
    check_account(asdict(new))
    # Asked before hashing too: strangers must not be able to keep the processor busy.
    await ctx.db.read(lambda session: _check_may_register(session, ctx.caller))
    password_hash = await ctx.passwords.hash(new.password)

    def work(session: Session) -> User:
        is_first = _check_may_register(session, ctx.caller)
        row = _new_row(new, password_hash, is_first=is_first)
        session.add(row)
        session.flush()
        return to_user(row)

    try:
        return await ctx.db.write(work)
    except IntegrityError:
        # Taken; or another first registration came first, which this check then tells.
        await ctx.db.read(lambda session: _check_may_register(session, ctx.caller))
        raise UserExists from None


async def login(ctx: Context, username: str, password: str) -> TokenPair:
    """Tokens for the right password. Raises `InvalidCredentials`, in the same time whatever is wrong."""
    # A name that no database can hold is just a wrong name.
    found = await ctx.db.read(lambda session: _credentials(session, storable(username.strip())))
    verdict = await ctx.passwords.verify(password, found[1] if found else None)
    if found is None or not verdict.is_right or not found[0].is_active:
        raise InvalidCredentials
    user_id = found[0].id

    def work(session: Session) -> User:
        row = session.get_one(UserRow, user_id)
        row.last_login_at = now()
        announce(session, user_topic(user_id))
        if verdict.new_hash is not None:
            row.password_hash = verdict.new_hash
        return to_user(row)

    return ctx.tokens.issue(await ctx.db.write(work))


async def refresh(ctx: Context, refresh_token: str) -> TokenPair:
    """A new pair for a valid refresh token. Raises `Unauthenticated`."""
    return ctx.tokens.issue((await bearer_of(ctx, refresh_token, "refresh")).user)


async def logout(ctx: Context) -> None:
    """Kill every token of the caller, on every device. Raises `Unauthenticated`."""
    user_id = ctx.user.id

    def work(session: Session) -> None:
        row = session.get_one(UserRow, user_id, with_for_update=True)
        row.token_version += 1
        row.updated_at = now()
        announce(session, user_topic(user_id))

    await ctx.db.write(work)


def _check_may_register(session: Session, caller: User | None) -> bool:
    """Whether the account to be made is the first; raises if the caller may make none."""
    if not _has_accounts(session):
        return True
    if caller is None:
        raise Unauthenticated("Not authenticated")
    if not caller.is_admin:
        raise NotAllowed("Only administrators create accounts")
    return False


async def has_accounts(ctx: Context) -> bool:
    """Whether anybody has an account: while nobody has, whoever comes may make the first one."""
    return await ctx.db.read(_has_accounts)


def _has_accounts(session: Session) -> bool:
    return bool(session.scalar(select(exists(select(UserRow.id)))))


def check_account(values: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` unless an account may have these values, of all its fields or of some."""
    if "username" in values and not values["username"].strip():
        raise InvalidInput("username", "username must not be blank")
    if "password" in values and not values["password"]:
        raise InvalidInput("password", "password must not be empty")
    for field, longest in _LONGEST.items():
        check_length(field, values.get(field), longest)
    for field, value in values.items():
        texts = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(text, str) and storable(text) != text for text in texts):
            raise InvalidInput(field, f"{field} must not hold characters such as NUL")


def _new_row(new: NewUser, password_hash: str, *, is_first: bool) -> UserRow:
    roles = list(dict.fromkeys(new.roles))
    if is_first and ADMIN not in roles:
        roles.append(ADMIN)
    return UserRow(
        username=new.username.strip(),
        email=(new.email or "").strip() or None,
        full_name=new.full_name,
        password_hash=password_hash,
        roles=roles,
        allowed_products=list(new.allowed_products),
        allowed_agents=list(new.allowed_agents),
        # An inactive first account would lock everybody out for ever.
        is_active=new.is_active or is_first,
        is_first=True if is_first else None,
    )


def _credentials(session: Session, username: str) -> tuple[User, str] | None:
    row = session.scalars(select(UserRow).where(UserRow.username == username)).one_or_none()
    return (to_user(row), row.password_hash) if row is not None else None
