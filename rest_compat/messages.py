"""Routes of `/threads/{thread_id}/messages`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import Field

from core.context import Context
from core.db.records import Message, MessageStatus, SenderType
from core.files.links import download_url
from core.resolvers import messages, runs, sending, uploads
from rest_compat import examples
from rest_compat.bodies import Body, Instant, JsonObject, PageBody, pagination_of, problems
from rest_compat.dependencies import PageLimit, PageNumber, SignedIn, SignedInRoute
from rest_compat.sse import STREAM_RESPONSE, RunStream, chat_frames, queued_only

router = APIRouter(
    route_class=SignedInRoute,
    prefix="/threads/{thread_id}/messages",
    tags=["messages"],
    responses=problems(401, 403, 404),
)

RUN_ID_HEADER = "X-Run-Id"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=sending.LONGEST_KEY,
        description="Sending again with the same key stores nothing new and attaches to the first answer",
    ),
]
_RUN_ID = {
    "headers": {
        RUN_ID_HEADER: {
            "description": "The run that answers: `GET /runs/{run_id}` and its events",
            "schema": {"type": "string", "format": "uuid"},
        }
    }
}
_IGNORED = Field(description="Accepted and ignored: the caller is the sender")


class AttachmentBody(Body):
    """A file of a message; its bytes are behind `download_url`."""

    id: UUID
    filename: str
    content_type: str
    size_bytes: int | None
    download_url: str | None
    created_at: Instant
    data_base64: str | None = None


class MessageBody(Body):
    """A message of a conversation."""

    model_config = examples.MESSAGE

    id: UUID
    thread_id: UUID
    sender_id: str
    sender_type: SenderType
    status: MessageStatus
    text: str
    metadata: JsonObject
    tokens_count: int | None
    error_code: str | None
    correlation_id: str | None
    created_at: Instant
    updated_at: Instant
    attachments: list[AttachmentBody]


class NewAttachmentBody(Body):
    """A file to be sent."""

    filename: Annotated[str, Field(min_length=1, max_length=sending.LONGEST_FILENAME)]
    content_type: Annotated[str | None, Field(max_length=sending.LONGEST_FILENAME)] = None
    data_base64: str


class NewMessageBody(Body):
    """A message to be sent."""

    model_config = examples.NEW_MESSAGE

    text: Annotated[str, Field(examples=["What is the capital of France?"])]
    sender_id: Annotated[Any, _IGNORED] = None
    user_id: Annotated[Any, _IGNORED] = None
    sender_type: Annotated[Any, _IGNORED] = None
    status: Annotated[Any, _IGNORED] = None
    tokens_count: Annotated[Any, _IGNORED] = None
    model: Annotated[
        str | None,
        Field(
            max_length=sending.LONGEST_MODEL, description="Remembered by the thread", examples=["gpt-4o-mini"]
        ),
    ] = None
    model_label: Annotated[str | None, Field(max_length=sending.LONGEST_MODEL)] = None
    attachments: list[NewAttachmentBody] | None = None
    metadata: Annotated[
        JsonObject | None, Field(description="Stored, and passed on to the provider with this message")
    ] = None
    correlation_id: Annotated[str | None, Field(max_length=sending.LONGEST_CORRELATION_ID)] = None


class MessageChangeBody(Body):
    """What to change; a null is as if absent."""

    model_config = examples.MESSAGE_CHANGE

    status: MessageStatus | None = None
    text: str | None = None
    error_code: str | None = None
    tokens_count: Annotated[int | None, Field(ge=0, le=messages.MOST_TOKENS)] = None


@router.get("")
async def list_messages(
    ctx: SignedIn, thread_id: UUID, page: PageNumber = 1, limit: PageLimit = 20
) -> PageBody[MessageBody]:
    """The messages of a conversation, newest first."""
    found = await messages.list_messages(ctx, thread_id, page=page, limit=limit)
    items = [message_body(ctx, message) for message in found.items]
    return PageBody(items=items, pagination=pagination_of(found))


@router.post("", status_code=201, responses={201: _RUN_ID, **problems(400, 413, 429, 502, 503)})
async def send_message(
    ctx: SignedIn,
    thread_id: UUID,
    body: NewMessageBody,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> MessageBody:
    """Send a message and wait for the answer; the answer itself is then in the list of messages."""
    sent = await sending.send_message(ctx, thread_id, _new_message(body, idempotency_key))
    if sent.run is None:
        return message_body(ctx, sent.message)
    response.headers[RUN_ID_HEADER] = str(sent.run.id)
    runs.raise_failure(await runs.wait_for_end(ctx, sent.run.id))
    return message_body(ctx, await messages.get_message(ctx, thread_id, sent.message.id))


@router.post(
    "/stream",
    response_class=Response,
    responses={200: STREAM_RESPONSE | _RUN_ID, **problems(400, 413, 429, 503)},
)
async def stream_message(
    ctx: SignedIn, thread_id: UUID, body: NewMessageBody, idempotency_key: IdempotencyKey = None
) -> Response:
    """Send a message and stream the answer. The answer goes on, and is stored, if you leave."""
    sent = await sending.send_message(ctx, thread_id, _new_message(body, idempotency_key))
    if sent.run is None:
        return queued_only(thread_id)
    reader = await runs.follow_sent(ctx, sent.run)
    return RunStream(ctx, reader, chat_frames(thread_id), {RUN_ID_HEADER: str(sent.run.id)})


@router.patch("/{message_id}", responses=problems(400, 413))
async def update_message(
    ctx: SignedIn, thread_id: UUID, message_id: UUID, body: MessageChangeBody
) -> MessageBody:
    """Change a message's status or text."""
    message = await messages.update_message(
        ctx,
        thread_id,
        message_id,
        status=body.status,
        text=body.text,
        error_code=body.error_code,
        tokens_count=body.tokens_count,
    )
    return message_body(ctx, message)


def message_body(ctx: Context, message: Message) -> MessageBody:
    """The message as clients see it."""
    attachments = [
        AttachmentBody(
            id=item.id,
            filename=item.filename,
            content_type=item.content_type,
            size_bytes=item.size_bytes,
            download_url=download_url(ctx.settings.api_prefix, item),
            created_at=item.created_at,
        )
        for item in message.attachments
    ]
    return MessageBody(
        id=message.id,
        thread_id=message.thread_id,
        sender_id=message.sender_id,
        sender_type=message.sender_type,
        status=message.status,
        text=message.text,
        metadata=message.metadata,
        tokens_count=message.tokens_count,
        error_code=message.error_code,
        correlation_id=message.correlation_id,
        created_at=message.created_at,
        updated_at=message.updated_at,
        attachments=attachments,
    )


def _new_message(body: NewMessageBody, idempotency_key: str | None) -> sending.NewMessage:
    return sending.NewMessage(
        text=body.text,
        attachments=tuple(
            uploads.NewAttachment(
                item.filename, item.data_base64, item.content_type or "application/octet-stream"
            )
            for item in body.attachments or ()
        ),
        model=body.model or None,
        model_label=body.model_label or None,
        metadata=body.metadata,
        correlation_id=body.correlation_id,
        idempotency_key=idempotency_key,
    )
