"""Messages in GraphQL."""

from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from core.context import Context
from core.db import records
from core.db.records import MessageStatus, SenderType
from core.files.links import download_url
from core.resolvers import messages, sending, uploads
from graphql_schema.context import Info
from graphql_schema.pages import PageInfo
from graphql_schema.runs import Run
from graphql_schema.scalars import json_object

strawberry.enum(SenderType, description="Who wrote a message.")
strawberry.enum(MessageStatus, description="How far a message is.")


@strawberry.type(description="A file of a message.")
class Attachment:
    id: UUID
    filename: str
    content_type: str
    size_bytes: int | None
    download_url: str | None = strawberry.field(description="Where the bytes are; send the token there, too.")


@strawberry.type(description="A message of a thread.")
class Message:
    id: UUID
    thread_id: UUID
    parent_id: UUID | None = strawberry.field(description="The message that this one answers.")
    sender_id: str
    sender_type: SenderType
    status: MessageStatus
    text: str
    metadata: JSON
    tokens_count: int | None
    error_code: str | None = strawberry.field(description="What went wrong, in the provider's words.")
    correlation_id: str | None
    created_at: datetime
    updated_at: datetime
    attachments: list[Attachment]

    @classmethod
    def of(cls, ctx: Context, message: records.Message) -> Self:
        """The message as clients see it."""
        return cls(
            id=message.id,
            thread_id=message.thread_id,
            parent_id=message.parent_id,
            sender_id=message.sender_id,
            sender_type=message.sender_type,
            status=message.status,
            text=message.text,
            metadata=JSON(message.metadata),
            tokens_count=message.tokens_count,
            error_code=message.error_code,
            correlation_id=message.correlation_id,
            created_at=message.created_at,
            updated_at=message.updated_at,
            attachments=[
                Attachment(
                    id=item.id,
                    filename=item.filename,
                    content_type=item.content_type,
                    size_bytes=item.size_bytes,
                    download_url=download_url(ctx.settings.api_prefix, item),
                )
                for item in message.attachments
            ],
        )


@strawberry.type(description="One page of the messages of a thread, newest first.")
class MessagePage:
    items: list[Message]
    page_info: PageInfo


@strawberry.input(description="A file to be sent with a message.")
class AttachmentInput:
    filename: str
    data_base64: str
    content_type: str = "application/octet-stream"


@strawberry.input(description="A message to be sent.")
class SendMessageInput:
    thread_id: UUID
    text: str
    model: str | None = strawberry.field(default=None, description="Remembered by the thread.")
    model_label: str | None = None
    metadata: JSON | None = strawberry.field(
        default=None, description="Stored, and passed on to the provider with this message."
    )
    attachments: list[AttachmentInput] = strawberry.field(default_factory=list)
    correlation_id: str | None = None
    idempotency_key: str | None = strawberry.field(
        default=None, description="Sending again with the same key attaches to the first answer."
    )


@strawberry.type(description="A message that is stored, and the run that answers it.")
class SentMessage:
    message: Message
    run: Run | None = strawberry.field(description="Null while the provider is switched off.")


async def page_of_messages(ctx: Context, thread_id: UUID, page: int, limit: int) -> MessagePage:
    """One page of a thread's messages."""
    found = await messages.list_messages(ctx, thread_id, page=max(page, 1), limit=max(limit, 1))
    return MessagePage(items=[Message.of(ctx, item) for item in found.items], page_info=PageInfo.of(found))


@strawberry.type
class MessageQuery:
    @strawberry.field(description="The messages of a thread, newest first.")
    async def messages(self, info: Info, thread_id: UUID, page: int = 1, limit: int = 20) -> MessagePage:
        return await page_of_messages(await info.context.core(), thread_id, page, limit)


@strawberry.type
class MessageMutation:
    @strawberry.mutation(description="Store a message and start its answer; follow it with `runEvents`.")
    async def send_message(self, info: Info, input: SendMessageInput) -> SentMessage:  # noqa: A002
        ctx = await info.context.core()
        sent = await sending.send_message(
            ctx,
            input.thread_id,
            sending.NewMessage(
                text=input.text,
                attachments=tuple(
                    uploads.NewAttachment(item.filename, item.data_base64, item.content_type)
                    for item in input.attachments
                ),
                model=input.model,
                model_label=input.model_label,
                metadata=json_object("metadata", input.metadata),
                correlation_id=input.correlation_id,
                idempotency_key=input.idempotency_key,
            ),
        )
        return SentMessage(message=Message.of(ctx, sent.message), run=Run.of(sent.run) if sent.run else None)
