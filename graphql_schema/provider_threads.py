"""Provider threads in GraphQL."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from core.db import records
from core.resolvers import provider_threads
from core.runs.history import PROVIDER
from graphql_schema.context import Info
from graphql_schema.errors import InvalidInput, NotAllowed, ThreadNotFound
from graphql_schema.inputs import given
from graphql_schema.nodes import Node
from graphql_schema.scalars import json_object


@strawberry.type(description="What a provider wants to be told again with the next message of a thread.")
class ProviderThread(Node):
    provider: str = strawberry.field(description="Whose state it is.")
    conversation_id: str | None = strawberry.field(description="The provider's own id of the conversation.")
    payload: JSON = strawberry.field(description="Whatever else is kept for it.")
    created_at: datetime = strawberry.field(description="When it was first kept.")
    updated_at: datetime = strawberry.field(description="When it was last replaced.")

    @classmethod
    def of(cls, kept: records.ProviderThread) -> Self:
        """The provider's state as clients see it."""
        return cls(
            id=strawberry.ID(str(kept.id)),
            provider=kept.provider,
            conversation_id=kept.conversation_id,
            payload=JSON(kept.payload),
            created_at=kept.created_at,
            updated_at=kept.updated_at,
        )


@strawberry.input(description="State to be kept for a provider; replaces what was kept.")
class SetProviderThreadInput:
    thread_id: UUID = strawberry.field(description="The thread that it belongs to.")
    provider: str = strawberry.field(
        default=PROVIDER, description="Whose state it is; at most 64 characters."
    )
    conversation_id: str | None = strawberry.field(
        default=UNSET, description="The provider's own id of the conversation, at most 255 characters."
    )
    payload: JSON | None = strawberry.field(
        default=UNSET, description="An object with whatever else to keep."
    )


@strawberry.type(description="The state is kept.")
class SetProviderThreadSuccess:
    provider_thread: ProviderThread = strawberry.field(description="What is kept now.")


SetProviderThreadResult = Annotated[
    SetProviderThreadSuccess | InvalidInput | NotAllowed | ThreadNotFound,
    strawberry.union("SetProviderThreadResult", description="What `setProviderThread` did."),
]


@strawberry.type
class ProviderThreadMutation:
    @strawberry.mutation(description="Keep this state for a provider, in place of what was kept.")
    async def set_provider_thread(
        self,
        info: Info,
        input: SetProviderThreadInput,  # noqa: A002
    ) -> SetProviderThreadResult:
        kept = await provider_threads.set_provider_thread(
            info.context.core,
            input.thread_id,
            provider=input.provider,
            conversation_id=given(input.conversation_id),
            payload=json_object("payload", input.payload),
        )
        return SetProviderThreadSuccess(provider_thread=ProviderThread.of(kept))
