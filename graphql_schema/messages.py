"""Messages in GraphQL."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self
from uuid import UUID

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from core.context import Context
from core.db import records
from core.db.records import MessageStatus, SenderType
from core.resolvers import messages
from graphql_schema.attachments import Attachment
from graphql_schema.context import Info
from graphql_schema.errors import InvalidInput, MessageNotFound, NotAllowed, ThreadNotFound
from graphql_schema.inputs import given
from graphql_schema.nodes import Node
from graphql_schema.runs import Run, Usage

if TYPE_CHECKING:
    from graphql_schema.threads import Thread


@strawberry.type(description="A message of a thread.")
class Message(Node):
    sender: SenderType = strawberry.field(description="Who wrote it.")
    status: MessageStatus = strawberry.field(description="How far it is.")
    text: str = strawberry.field(description="What it says; bullets in place of a secret.")
    metadata: JSON = strawberry.field(
        description="Whatever its sender wanted to be kept with it; of an answer, what the agent asks back."
    )
    attachments: list[Attachment] = strawberry.field(description="Its files, oldest first.")
    error: str | None = strawberry.field(
        description="Why its answer failed, in the provider's words, cut at 128 characters."
    )
    correlation_id: str | None = strawberry.field(description="The provider's id of the answer, if known.")
    created_at: datetime = strawberry.field(description="When it was stored.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    usage: Usage | None = strawberry.field(
        description="The tokens that it cost: a question's prompt, an answer's completion."
    )
    record: strawberry.Private[records.Message]

    @classmethod
    def of(cls, ctx: Context, message: records.Message) -> Self:
        """The message as clients see it."""
        return cls(
            id=strawberry.ID(str(message.id)),
            sender=message.sender_type,
            status=message.status,
            text=message.text,
            metadata=JSON(message.metadata),
            attachments=[Attachment.of(ctx, item) for item in message.attachments],
            error=message.error_code,
            correlation_id=message.correlation_id,
            created_at=message.created_at,
            updated_at=message.updated_at,
            usage=_usage(message),
            record=message,
        )

    @strawberry.field(description="The run that answers this question, the newest if several; or wrote this.")
    async def run(self, info: Info) -> Run | None:
        found = await info.context.loaders.run_of_message.load(self.record)
        return Run.of(found) if found is not None else None

    @strawberry.field(description="The message that this one answers.")
    async def parent(self, info: Info) -> "Message | None":
        if self.record.parent_id is None:
            return None
        found = await info.context.loaders.messages.load(self.record.parent_id)
        return Message.of(info.context.core, found) if found is not None else None

    @strawberry.field(description="The thread that it belongs to; null if it is deleted.")
    async def thread(
        self, info: Info
    ) -> Annotated["Thread", strawberry.lazy("graphql_schema.threads")] | None:
        from graphql_schema.threads import Thread  # noqa: PLC0415 - the two types name each other

        found = await info.context.loaders.threads.load(self.record.thread_id)
        return Thread.of(found) if found is not None else None


def _usage(message: records.Message) -> Usage | None:
    tokens = message.tokens_count
    if tokens is None:
        return None
    if message.sender_type is SenderType.ASSISTANT:
        return Usage(prompt_tokens=None, completion_tokens=tokens)
    return Usage(prompt_tokens=tokens, completion_tokens=None)


@strawberry.input(description="What to change of a message; what is null or left out stays.")
class UpdateMessageInput:
    thread_id: UUID = strawberry.field(description="The thread that the message belongs to.")
    message_id: UUID = strawberry.field(description="The message.")
    text: str | None = strawberry.field(default=UNSET, description="What it says from now on.")
    status: MessageStatus | None = strawberry.field(default=UNSET, description="How far it is.")
    error: str | None = strawberry.field(default=UNSET, description="What went wrong; cut at 128 characters.")
    tokens: int | None = strawberry.field(default=UNSET, description="The tokens that it cost.")


@strawberry.type(description="The message was changed.")
class UpdateMessageSuccess:
    updated_message: Message = strawberry.field(description="The message as it is now.")


UpdateMessageResult = Annotated[
    UpdateMessageSuccess | InvalidInput | NotAllowed | ThreadNotFound | MessageNotFound,
    strawberry.union("UpdateMessageResult", description="What `updateMessage` did."),
]


@strawberry.type
class MessageQuery:
    @strawberry.field(description="A message of the caller's; null if there is none.")
    async def message(
        self,
        info: Info,
        id: Annotated[UUID, strawberry.argument(description="The message's id.")],  # noqa: A002
    ) -> Message | None:
        found = await info.context.loaders.messages.load(id)
        return Message.of(info.context.core, found) if found is not None else None


@strawberry.type
class MessageMutation:
    @strawberry.mutation(
        description="Change a message. Outside workers answer so, where the provider is switched off."
    )
    async def update_message(self, info: Info, input: UpdateMessageInput) -> UpdateMessageResult:  # noqa: A002
        ctx = info.context.core
        message = await messages.update_message(
            ctx,
            input.thread_id,
            input.message_id,
            status=given(input.status),
            text=given(input.text),
            error_code=given(input.error),
            tokens_count=given(input.tokens),
        )
        return UpdateMessageSuccess(updated_message=Message.of(ctx, message))
