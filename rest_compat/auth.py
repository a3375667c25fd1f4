"""Routes of `/auth`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from core.auth.passwords import LONGEST_PASSWORD
from core.auth.tokens import TokenPair
from core.db.records import User
from core.resolvers import auth
from rest_compat import examples
from rest_compat.bodies import Body, Instant, problems
from rest_compat.dependencies import Anonymous, MaybeSignedIn, SignedIn
from rest_compat.json_bodies import JsonRoute

router = APIRouter(route_class=JsonRoute, prefix="/auth", tags=["auth"])


class UserBody(Body):
    """An account. An empty allow list allows everything."""

    model_config = examples.USER

    id: UUID
    username: str
    email: str | None
    full_name: str | None
    roles: list[str]
    allowed_products: list[str]
    allowed_agents: list[str]
    is_active: bool
    token_version: int
    created_at: Instant
    updated_at: Instant
    last_login_at: Instant | None


class TokensBody(Body):
    """A pair of tokens; lifetimes in seconds."""

    model_config = examples.TOKENS

    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind of token, not one
    expires_in: int
    refresh_expires_in: int


class RegisterBody(Body):
    """An account to be made."""

    model_config = examples.REGISTER

    username: Annotated[str, Field(min_length=1, max_length=auth.LONGEST_USERNAME, examples=["ada"])]
    password: Annotated[
        str, Field(min_length=1, max_length=LONGEST_PASSWORD, examples=["correct horse battery"])
    ]
    email: Annotated[str | None, Field(max_length=auth.LONGEST_EMAIL)] = None
    full_name: Annotated[str | None, Field(max_length=auth.LONGEST_FULL_NAME)] = None
    roles: list[str] | None = None
    allowed_products: list[str] | None = None
    allowed_agents: list[str] | None = None
    is_active: bool | None = None


class LoginBody(Body):
    """Who wants to sign in."""

    model_config = examples.LOGIN

    username: Annotated[str, Field(examples=["ada"])]
    password: Annotated[str, Field(examples=["correct horse battery"])]


class RefreshBody(Body):
    """A refresh token of an earlier login."""

    model_config = examples.REFRESH

    refresh_token: str


@router.post("/register", status_code=201, responses=problems(400, 401, 403, 409, 413))
async def register(ctx: MaybeSignedIn, body: RegisterBody) -> UserBody:
    """Create an account: open while there is none at all, then for administrators only."""
    new = auth.NewUser(
        username=body.username,
        password=body.password,
        email=body.email,
        full_name=body.full_name,
        roles=tuple(body.roles or ()),
        allowed_products=tuple(body.allowed_products or ()),
        allowed_agents=tuple(body.allowed_agents or ()),
        is_active=body.is_active is not False,
    )
    return _user_body(await auth.register(ctx, new))


@router.post("/login", responses=problems(400, 401, 413))
async def login(ctx: Anonymous, body: LoginBody) -> TokensBody:
    """Exchange username and password for an access and a refresh token."""
    return _tokens_body(await auth.login(ctx, body.username, body.password))


@router.post("/refresh", responses=problems(400, 401, 413))
async def refresh(ctx: Anonymous, body: RefreshBody) -> TokensBody:
    """Exchange a refresh token for a new pair."""
    return _tokens_body(await auth.refresh(ctx, body.refresh_token))


@router.post("/logout", status_code=204, responses=problems(401))
async def logout(ctx: SignedIn) -> None:
    """Revoke every token of the caller, on every device, at once."""
    await auth.logout(ctx)


@router.get("/me", responses=problems(401))
async def me(ctx: SignedIn) -> UserBody:
    """The caller."""
    return _user_body(ctx.user)


def _user_body(user: User) -> UserBody:
    return UserBody.model_validate(user)


def _tokens_body(tokens: TokenPair) -> TokensBody:
    return TokensBody.model_validate(tokens)
