"""Provider threads in GraphQL."""

from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from core.db import records
from core.resolvers import provider_threads
from core.runs.history import PROVIDER
from graphql_schema.context import Info
from graphql_schema.scalars import json_object


@strawberry.type(description="What a provider wants to be told again with the next message of a thread.")
class ProviderThread:
    id: UUID
    thread_id: UUID
    provider: str
    conversation_id: str | None
    payload: JSON
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: records.ProviderThread) -> Self:
        """The state as clients see it."""
        return cls(
            id=found.id,
            thread_id=found.thread_id,
            provider=found.provider,
            conversation_id=found.conversation_id,
            payload=JSON(found.payload),
            created_at=found.created_at,
            updated_at=found.updated_at,
        )


@strawberry.input(description="The state to keep; it replaces what was kept before.")
class SetProviderThreadInput:
    thread_id: UUID
    provider: str = PROVIDER
    conversation_id: str | None = None
    payload: JSON | None = None


@strawberry.type
class ProviderThreadQuery:
    @strawberry.field(description="The state that is kept for a provider.")
    async def provider_thread(self, info: Info, thread_id: UUID, provider: str = PROVIDER) -> ProviderThread:
        ctx = await info.context.core()
        return ProviderThread.of(
            await provider_threads.get_provider_thread(ctx, thread_id, provider=provider)
        )


@strawberry.type
class ProviderThreadMutation:
    @strawberry.mutation(description="Keep this state for a provider.")
    async def set_provider_thread(self, info: Info, input: SetProviderThreadInput) -> ProviderThread:  # noqa: A002
        kept = await provider_threads.set_provider_thread(
            await info.context.core(),
            input.thread_id,
            provider=input.provider,
            conversation_id=input.conversation_id,
            payload=json_object("payload", input.payload),
        )
        return ProviderThread.of(kept)
