"""Accounts in GraphQL, and who is asking."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry
from strawberry import UNSET

from core import errors
from core.context import Context
from core.db import records
from core.db.keyset import Window
from core.resolvers import auth, users
from graphql_schema import connections
from graphql_schema.connections import PAGE, Connection, window
from graphql_schema.context import Info
from graphql_schema.enums import Permission
from graphql_schema.errors import InvalidInput, LastAdmin, NotAllowed, UserExists, UserNotFound
from graphql_schema.inputs import given
from graphql_schema.nodes import Node
from graphql_schema.scalars import Cursor


@strawberry.type(description="An account. An empty allow list allows everything.")
class User(Node):
    username: str = strawberry.field(description="The name that the user signs in with.")
    email: str | None = strawberry.field(description="The user's address, if known.")
    full_name: str | None = strawberry.field(description="The user's name for people.")
    roles: list[str] = strawberry.field(description="Roles; `admin` manages accounts.")
    allowed_products: list[str] = strawberry.field(description="Products whose threads the user may use.")
    allowed_agents: list[str] = strawberry.field(description="Agents, and models, that the user may use.")
    is_active: bool = strawberry.field(description="Whether the user may sign in.")
    created_at: datetime = strawberry.field(description="When the account was made.")
    updated_at: datetime = strawberry.field(description="When the account was last changed.")
    last_login_at: datetime | None = strawberry.field(description="When the user last signed in.")

    @classmethod
    def of(cls, user: records.User) -> Self:
        """The account as clients see it."""
        return cls(
            id=strawberry.ID(str(user.id)),
            username=user.username,
            email=user.email,
            full_name=user.full_name,
            roles=list(user.roles),
            allowed_products=list(user.allowed_products),
            allowed_agents=list(user.allowed_agents),
            is_active=user.is_active,
            created_at=user.created_at,
            updated_at=user.updated_at,
            last_login_at=user.last_login_at,
        )


@strawberry.type(description="Who is asking.")
class Viewer:
    user: User = strawberry.field(description="The account that is signed in.")
    permissions: list[Permission] = strawberry.field(description="What it may do beyond its own threads.")
    max_body_bytes: int = strawberry.field(
        description="The largest request that the server takes, files included."
    )

    @classmethod
    def of(cls, ctx: Context, user: records.User) -> Self:
        """The signed-in user as clients see it."""
        return cls(
            user=User.of(user),
            permissions=[Permission.MANAGE_USERS] if user.is_admin else [],
            max_body_bytes=ctx.settings.max_body_bytes,
        )


@strawberry.input(description="An account to be made by an administrator.")
class CreateUserInput:
    username: str = strawberry.field(description="The name to sign in with; 1 to 128 characters.")
    password: str = strawberry.field(description="The password; never cut, whatever its length.")
    email: str | None = strawberry.field(default=UNSET, description="An address that nobody else has.")
    full_name: str | None = strawberry.field(default=UNSET, description="A name for people.")
    roles: list[str] | None = strawberry.field(default=UNSET, description="Roles, such as `admin`.")
    allowed_products: list[str] | None = strawberry.field(
        default=UNSET, description="The only products whose threads the user may use; empty allows all."
    )
    allowed_agents: list[str] | None = strawberry.field(
        default=UNSET, description="The only agents and models that the user may use; empty allows all."
    )
    is_active: bool = strawberry.field(default=True, description="Whether the user may sign in.")


@strawberry.input(description="What to change of an account; what is null or left out stays.")
class UpdateUserInput:
    user_id: UUID = strawberry.field(description="The account.")
    password: str | None = strawberry.field(
        default=UNSET, description="A new password; it revokes every token of the account."
    )
    email: str | None = strawberry.field(default=UNSET, description="An address that nobody else has.")
    full_name: str | None = strawberry.field(default=UNSET, description="A name for people.")
    roles: list[str] | None = strawberry.field(default=UNSET, description="Replaces all roles.")
    allowed_products: list[str] | None = strawberry.field(
        default=UNSET, description="Replaces the products whose threads the user may use."
    )
    allowed_agents: list[str] | None = strawberry.field(
        default=UNSET, description="Replaces the agents and models that the user may use."
    )
    is_active: bool | None = strawberry.field(
        default=UNSET, description="True lets a deactivated user sign in again."
    )


@strawberry.input(description="The account to be deactivated.")
class DeactivateUserInput:
    user_id: UUID = strawberry.field(description="The account.")


@strawberry.type(description="The account was made.")
class CreateUserSuccess:
    user: User = strawberry.field(description="The new account.")


@strawberry.type(description="The account was changed.")
class UpdateUserSuccess:
    user: User = strawberry.field(description="The account as it is now.")


@strawberry.type(description="The account was deactivated, and its tokens were revoked.")
class DeactivateUserSuccess:
    user: User = strawberry.field(description="The account as it is now.")


CreateUserResult = Annotated[
    CreateUserSuccess | InvalidInput | NotAllowed | UserExists,
    strawberry.union("CreateUserResult", description="What `createUser` did."),
]
UpdateUserResult = Annotated[
    UpdateUserSuccess | InvalidInput | NotAllowed | UserExists | UserNotFound | LastAdmin,
    strawberry.union("UpdateUserResult", description="What `updateUser` did."),
]
DeactivateUserResult = Annotated[
    DeactivateUserSuccess | NotAllowed | UserNotFound | LastAdmin,
    strawberry.union("DeactivateUserResult", description="What `deactivateUser` did."),
]


@strawberry.type
class UserQuery:
    @strawberry.field(description="Who is asking; null without a token.")
    async def viewer(self, info: Info) -> Viewer | None:
        ctx = info.context.core
        return Viewer.of(ctx, ctx.caller) if ctx.caller is not None else None

    @strawberry.field(
        description="Whether anybody has an account; while nobody has, `register` makes the first one."
    )
    async def has_accounts(self, info: Info) -> bool:
        return await auth.has_accounts(info.context.anonymous)

    @strawberry.field(
        description="An account: one's own, or for administrators any, and then null if there is none. "
        "Others' are NOT_ALLOWED."
    )
    async def user(
        self,
        info: Info,
        id: Annotated[UUID, strawberry.argument(description="The account's id.")],  # noqa: A002
    ) -> User | None:
        try:
            return User.of(await users.get_user(info.context.core, id))
        except errors.UserNotFound:
            return None

    @strawberry.field(description="All accounts by username; for administrators only.", directives=[PAGE])
    async def users(
        self,
        info: Info,
        first: connections.First = UNSET,
        after: connections.After = UNSET,
        last: connections.Last = UNSET,
        before: connections.Before = UNSET,
    ) -> Connection[User]:
        ctx = info.context.core
        found = await users.list_users(ctx, window(_decode, first, after, last, before))

        async def count() -> int:
            return (await users.list_users(ctx, Window(first=1), with_total=True)).total or 0

        return Connection.of(found, [User.of(item) for item in found.items], _cursor, count)


@strawberry.type
class UserMutation:
    @strawberry.mutation(description="Make an account; for administrators only.")
    async def create_user(self, info: Info, input: CreateUserInput) -> CreateUserResult:  # noqa: A002
        new = auth.NewUser(
            username=input.username,
            password=input.password,
            email=given(input.email),
            full_name=given(input.full_name),
            roles=tuple(given(input.roles) or ()),
            allowed_products=tuple(given(input.allowed_products) or ()),
            allowed_agents=tuple(given(input.allowed_agents) or ()),
            is_active=input.is_active,
        )
        return CreateUserSuccess(user=User.of(await auth.register(info.context.core, new)))

    @strawberry.mutation(
        description="Change an account; for administrators only. What it may do changes at once, everywhere."
    )
    async def update_user(self, info: Info, input: UpdateUserInput) -> UpdateUserResult:  # noqa: A002
        user = await users.update_user(
            info.context.core,
            input.user_id,
            email=given(input.email),
            full_name=given(input.full_name),
            roles=given(input.roles),
            allowed_products=given(input.allowed_products),
            allowed_agents=given(input.allowed_agents),
            is_active=given(input.is_active),
            password=given(input.password),
        )
        return UpdateUserSuccess(user=User.of(user))

    @strawberry.mutation(
        description="Keep a user out from now on, tokens and open connections included; administrators only."
    )
    async def deactivate_user(self, info: Info, input: DeactivateUserInput) -> DeactivateUserResult:  # noqa: A002
        user = await users.update_user(info.context.core, input.user_id, is_active=False)
        return DeactivateUserSuccess(user=User.of(user))


def _cursor(user: records.User) -> Cursor:
    return connections.encode_cursor("u", user.username)


def _decode(cursor: str) -> str:
    return connections.decode_cursor("u", cursor, 1)[0]
