"""Accounts in GraphQL."""

from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from core.db import records


@strawberry.type(description="An account. An empty allow list allows everything.")
class User:
    id: UUID = strawberry.field(description="The account's id.")
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
            id=user.id,
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
