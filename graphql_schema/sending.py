"""Sending a message in GraphQL."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from core.resolvers import sending
from graphql_schema.attachments import AttachmentInput, new_attachment
from graphql_schema.context import Info
from graphql_schema.errors import (
    IdempotencyMismatch,
    InvalidAttachment,
    InvalidInput,
    ModelRequired,
    NotAllowed,
    QueueFull,
    ThreadNotFound,
)
from graphql_schema.inputs import given
from graphql_schema.messages import Message
from graphql_schema.runs import Run
from graphql_schema.scalars import json_object


@strawberry.input(description="A message to be sent.")
class SendMessageInput:
    thread_id: UUID = strawberry.field(description="The thread that it goes to.")
    text: str = strawberry.field(description="What it says; may be empty beside attachments.")
    model: str | None = strawberry.field(
        default=UNSET, description="The model to ask, remembered by the thread; needed in a new one."
    )
    model_label: str | None = strawberry.field(default=UNSET, description="The model's name for people.")
    attachments: list[AttachmentInput] | None = strawberry.field(default=UNSET, description="Its files.")
    metadata: JSON | None = strawberry.field(
        default=UNSET, description="An object; stored, and passed on to the provider with this message."
    )
    correlation_id: str | None = strawberry.field(
        default=UNSET, description="An id of the client's, kept until the provider gives one."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="Sending again with the same key stores nothing and gives the first message and its run.",
    )


@strawberry.type(description="The message is stored, and its answer goes on whoever reads it.")
class SendMessageSuccess:
    user_message: Message = strawberry.field(description="The message.")
    run: Run | None = strawberry.field(
        description="The answer; follow it by `runEvents`. Null while the provider is switched off."
    )


SendMessageResult = Annotated[
    SendMessageSuccess
    | InvalidInput
    | InvalidAttachment
    | ThreadNotFound
    | NotAllowed
    | ModelRequired
    | QueueFull
    | IdempotencyMismatch,
    strawberry.union("SendMessageResult", description="What `sendMessage` did."),
]


@strawberry.type
class SendingMutation:
    @strawberry.mutation(description="Store a message and start its answer.")
    async def send_message(self, info: Info, input: SendMessageInput) -> SendMessageResult:  # noqa: A002
        ctx = info.context.core
        new = sending.NewMessage(
            text=input.text,
            attachments=tuple([await new_attachment(item) for item in given(input.attachments) or ()]),
            model=given(input.model),
            model_label=given(input.model_label),
            metadata=json_object("metadata", input.metadata),
            correlation_id=given(input.correlation_id),
            idempotency_key=given(input.idempotency_key),
        )
        sent = await sending.send_message(ctx, input.thread_id, new)
        return SendMessageSuccess(
            user_message=Message.of(ctx, sent.message), run=Run.of(sent.run) if sent.run else None
        )
