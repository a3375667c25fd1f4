"""Signing up, in and out in GraphQL."""

from typing import Annotated, Self

import strawberry
from strawberry import UNSET

from core.auth.tokens import TokenPair
from core.resolvers import auth
from graphql_schema.context import Info
from graphql_schema.costs import Cost
from graphql_schema.errors import (
    InvalidCredentials,
    InvalidInput,
    InvalidRefreshToken,
    NotAllowed,
    UserExists,
)
from graphql_schema.inputs import given
from graphql_schema.users import User, Viewer

# A password takes a tenth of a second of a core to check: few of them in one request.
HASHING = 1000


@strawberry.type(description="A pair of tokens; send the access token as `Authorization: Bearer …`.")
class Tokens:
    access_token: str = strawberry.field(description="Opens this API until it expires.")
    refresh_token: str = strawberry.field(description="Buys a new pair by `refresh`.")
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


@strawberry.input(description="An account of one's own.")
class RegisterInput:
    username: str = strawberry.field(description="The name to sign in with; 1 to 128 characters.")
    password: str = strawberry.field(description="The password; never cut, whatever its length.")
    email: str | None = strawberry.field(default=UNSET, description="An address that nobody else has.")
    full_name: str | None = strawberry.field(default=UNSET, description="A name for people.")


@strawberry.input(description="Who wants to sign in.")
class LoginInput:
    username: str = strawberry.field(description="The account's name.")
    password: str = strawberry.field(description="The account's password.")


@strawberry.input(description="What buys a new pair of tokens.")
class RefreshInput:
    refresh_token: str = strawberry.field(description="The refresh token of the last pair.")


@strawberry.type(description="The account was made.")
class RegisterSuccess:
    user: User = strawberry.field(description="The new account; sign in by `login`.")


@strawberry.type(description="Signed in.")
class LoginSuccess:
    tokens: Tokens = strawberry.field(description="What opens the API from now on.")
    viewer: Viewer = strawberry.field(description="Who signed in.")


@strawberry.type(description="A new pair was issued; the old one stays valid until it expires.")
class RefreshSuccess:
    tokens: Tokens = strawberry.field(description="What opens the API from now on.")


@strawberry.type(description="Signed out, on every device.")
class LogoutSuccess:
    user: User = strawberry.field(description="Whose tokens were revoked.")


RegisterResult = Annotated[
    RegisterSuccess | InvalidInput | NotAllowed | UserExists,
    strawberry.union("RegisterResult", description="What `register` did."),
]
LoginResult = Annotated[
    LoginSuccess | InvalidCredentials,
    strawberry.union("LoginResult", description="What `login` did."),
]
RefreshResult = Annotated[
    RefreshSuccess | InvalidRefreshToken,
    strawberry.union("RefreshResult", description="What `refresh` did."),
]

LogoutResult = Annotated[
    LogoutSuccess,
    strawberry.union("LogoutResult", description="What `logout` did."),
]


@strawberry.type
class AuthMutation:
    @strawberry.mutation(
        description="Make an account: open while there is none at all, whose owner becomes administrator; "
        "then for administrators only.",
        directives=[Cost(weight=HASHING)],
    )
    async def register(self, info: Info, input: RegisterInput) -> RegisterResult:  # noqa: A002
        new = auth.NewUser(
            username=input.username,
            password=input.password,
            email=given(input.email),
            full_name=given(input.full_name),
        )
        return RegisterSuccess(user=User.of(await auth.register(info.context.core_or_anonymous, new)))

    @strawberry.mutation(
        description="Exchange username and password for tokens.", directives=[Cost(weight=HASHING)]
    )
    async def login(self, info: Info, input: LoginInput) -> LoginResult:  # noqa: A002
        ctx = info.context.anonymous
        tokens = await auth.login(ctx, input.username, input.password)
        user = await auth.authenticate(ctx, tokens.access_token)
        return LoginSuccess(tokens=Tokens.of(tokens), viewer=Viewer.of(ctx, user))

    @strawberry.mutation(description="Exchange a refresh token for a new pair.")
    async def refresh(self, info: Info, input: RefreshInput) -> RefreshResult:  # noqa: A002
        tokens = await auth.refresh(info.context.anonymous, input.refresh_token)
        return RefreshSuccess(tokens=Tokens.of(tokens))

    @strawberry.mutation(
        description="Revoke every token of the caller, on every device; open subscriptions end."
    )
    async def logout(self, info: Info) -> LogoutResult:
        ctx = info.context.core
        await auth.logout(ctx)
        return LogoutSuccess(user=User.of(ctx.user))
