"""Routes of `/threads`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AliasChoices, Field, model_validator

from core.exports import ExportFormat
from core.exports.disposition import content_disposition
from core.resolvers import exports, threads
from rest_compat import examples
from rest_compat.bodies import Body, Instant, JsonObject, PageBody, pagination_of, problems
from rest_compat.dependencies import PageLimit, PageNumber, SignedIn, SignedInRoute
from rest_compat.messages import MessageBody, message_body

router = APIRouter(
    route_class=SignedInRoute, prefix="/threads", tags=["threads"], responses=problems(401, 403)
)

_METADATA = Field(
    validation_alias=AliasChoices("metadata", "attributes"),
    description="Any object; may also be sent as `attributes`. `product_id` and `agent_id` must be allowed.",
    examples=[{"model": "gpt-4o-mini"}],
)


class ThreadBody(Body):
    """A conversation."""

    model_config = examples.THREAD

    id: UUID
    owner_id: UUID
    title: str | None
    summary: str | None
    metadata: JsonObject
    is_deleted: bool
    created_at: Instant
    updated_at: Instant
    deleted_at: Instant | None


class ThreadDetailBody(ThreadBody):
    """A conversation with its latest messages, newest first."""

    model_config = examples.THREAD_DETAIL

    last_messages: list[MessageBody]


class NewThreadBody(Body):
    """A conversation to be started."""

    model_config = examples.NEW_THREAD

    title: Annotated[str | None, Field(max_length=threads.LONGEST_TITLE, examples=["Trip to Rome"])] = None
    summary: Annotated[str | None, Field(max_length=threads.LONGEST_SUMMARY)] = None
    metadata: Annotated[JsonObject | None, _METADATA] = None

    @model_validator(mode="before")
    @classmethod
    def _a_null_is_as_if_absent(cls, body: Any) -> Any:
        if isinstance(body, dict) and body.get("metadata") is None:
            return {key: value for key, value in body.items() if key != "metadata"}
        return body


class ThreadChangeBody(NewThreadBody):
    """What to change; a null is as if absent, and `metadata` replaces the whole object."""

    model_config = examples.THREAD_CHANGE

    is_deleted: bool | None = None


@router.post("", status_code=201, responses=problems(400, 413))
async def create_thread(ctx: SignedIn, body: NewThreadBody) -> ThreadBody:
    """Start a conversation."""
    thread = await threads.create_thread(ctx, title=body.title, summary=body.summary, metadata=body.metadata)
    return ThreadBody.model_validate(thread)


@router.get("")
async def list_threads(
    ctx: SignedIn, page: PageNumber = 1, limit: PageLimit = 20, *, include_deleted: bool = False
) -> PageBody[ThreadBody]:
    """The caller's conversations, newest first. Untitled and empty ones show with `include_deleted` only."""
    found = await threads.list_threads(ctx, page=page, limit=limit, include_deleted=include_deleted)
    items = [ThreadBody.model_validate(thread) for thread in found.items]
    return PageBody(items=items, pagination=pagination_of(found))


@router.get("/{thread_id}", responses=problems(404))
async def get_thread(
    ctx: SignedIn, thread_id: UUID, messages_limit: Annotated[int, Query(ge=1, le=50)] = 5
) -> ThreadDetailBody:
    """A conversation with its latest messages."""
    detail = await threads.get_thread(ctx, thread_id, messages_limit=messages_limit)
    thread = ThreadBody.model_validate(detail.thread)
    messages = [message_body(ctx, message) for message in detail.last_messages]
    return ThreadDetailBody(**thread.model_dump(), last_messages=messages)


@router.patch("/{thread_id}", responses=problems(400, 404, 413))
async def update_thread(ctx: SignedIn, thread_id: UUID, body: ThreadChangeBody) -> ThreadBody:
    """Change a conversation; `is_deleted: false` restores it."""
    thread = await threads.update_thread(
        ctx,
        thread_id,
        title=body.title,
        summary=body.summary,
        metadata=body.metadata,
        is_deleted=body.is_deleted,
    )
    return ThreadBody.model_validate(thread)


@router.delete("/{thread_id}", status_code=204, responses=problems(404))
async def delete_thread(ctx: SignedIn, thread_id: UUID) -> None:
    """Delete a conversation; it can be restored by PATCH."""
    await threads.delete_thread(ctx, thread_id)


@router.get(
    "/{thread_id}/export",
    response_class=Response,
    responses={
        200: {
            "description": "The conversation as a file",
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in (
                    "text/markdown",
                    "application/pdf",
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                )
            },
        },
        **problems(404),
    },
)
async def export_thread(
    ctx: SignedIn,
    thread_id: UUID,
    export_format: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.MARKDOWN,
) -> Response:
    """The whole conversation as a file to keep."""
    file = await exports.export_thread(ctx, thread_id, export_format)
    return Response(
        file.content,
        media_type=file.media_type,
        headers={
            "Content-Disposition": content_disposition(file.filename),
            "X-Content-Type-Options": "nosniff",
        },
    )
