"""Signing in and out in GraphQL."""

from typing import Self

import strawberry

from core.auth.tokens import TokenPair
from core.resolvers import auth
from graphql_schema.context import Info
from graphql_schema.users import User


@strawberry.type(description="A pair of tokens; send the access token as `Authorization: Bearer …`.")
class Tokens:
    access_token: str = strawberry.field(description="Opens this API until it expires.")
    refresh_token: str = strawberry.field(description="Buys a new pair.")
    expires_in: int = strawberry.field(description="Lifetime of the access token in seconds.")
    refresh_expires_in: int = strawberry.field(description="Lifetime of the refresh token in seconds.")

    @classmethod
    def of(cls, tokens: TokenPair) -> Self:
        """The pair as clients see it."""
        return cls(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in,
            refresh_expires_in=tokens.refresh_expires_in,
        )


@strawberry.input(description="An account to be made.")
class RegisterInput:
    username: str
    password: str
    email: str | None = None
    full_name: str | None = None
    roles: list[str] = strawberry.field(default_factory=list)
    allowed_products: list[str] = strawberry.field(default_factory=list)
    allowed_agents: list[str] = strawberry.field(default_factory=list)


@strawberry.input(description="Who wants to sign in.")
class LoginInput:
    username: str
    password: str


@strawberry.type
class AuthQuery:
    @strawberry.field(description="The signed-in user.")
    async def me(self, info: Info) -> User:
        return User.of((await info.context.core()).user)


@strawberry.type
class AuthMutation:
    @strawberry.mutation(
        description="Make an account: open while there is none at all, then for administrators only."
    )
    async def register(self, info: Info, input: RegisterInput) -> User:  # noqa: A002
        new = auth.NewUser(
            username=input.username,
            password=input.password,
            email=input.email,
            full_name=input.full_name,
            roles=tuple(input.roles),
            allowed_products=tuple(input.allowed_products),
            allowed_agents=tuple(input.allowed_agents),
        )
        return User.of(await auth.register(await info.context.core_or_anonymous(), new))

    @strawberry.mutation(description="Exchange username and password for tokens.")
    async def login(self, info: Info, input: LoginInput) -> Tokens:  # noqa: A002
        return Tokens.of(await auth.login(info.context.anonymous, input.username, input.password))

    @strawberry.mutation(description="Exchange a refresh token for a new pair.")
    async def refresh(self, info: Info, refresh_token: str) -> Tokens:
        return Tokens.of(await auth.refresh(info.context.anonymous, refresh_token))

    @strawberry.mutation(description="Revoke every token of the caller, on every device, at once.")
    async def logout(self, info: Info) -> bool:
        await auth.logout(await info.context.core())
        return True
