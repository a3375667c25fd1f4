"""Routes of `/runs`: answers by their own id, to resume and to cancel."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from core.db.records import RunStatus
from core.resolvers import runs
from rest_compat import examples
from rest_compat.bodies import Body, Instant, problems
from rest_compat.dependencies import SignedIn, SignedInRoute
from rest_compat.sse import STREAM_RESPONSE, RunStream, resumable_frames

router = APIRouter(
    route_class=SignedInRoute, prefix="/runs/{run_id}", tags=["runs"], responses=problems(401, 403, 404)
)


class RunBody(Body):
    """One answer being written, or written."""

    model_config = examples.RUN

    id: UUID
    thread_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID | None
    status: RunStatus
    model: str
    model_label: str | None
    error_code: str | None
    error: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    created_at: Instant
    started_at: Instant | None
    first_token_at: Instant | None
    finished_at: Instant | None


@router.get("")
async def get_run(ctx: SignedIn, run_id: UUID) -> RunBody:
    """An answer and how far it is."""
    return RunBody.model_validate(await runs.get_run(ctx, run_id))


@router.get("/events", response_class=Response, responses={200: STREAM_RESPONSE, **problems(400, 503)})
async def run_events(
    ctx: SignedIn,
    run_id: UUID,
    after: Annotated[str | None, Query(description="The `id` of the last frame that was seen")] = None,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """Follow an answer from its start, or from behind `after`.

    The frames of `…/messages/stream`, each with a cursor as its `id`. Where the events behind `after`
    are no longer kept, a frame `event: snapshot` comes first: its `text` replaces all text so far.
    """
    run = await runs.get_run(ctx, run_id)
    reader = await runs.follow_run(ctx, run_id, last_event_id or after or None)
    return RunStream(ctx, reader, resumable_frames(run.thread_id, run_id))


@router.post("/cancel")
async def cancel_run(ctx: SignedIn, run_id: UUID) -> RunBody:
    """Stop an answer; what has arrived is kept. A finished answer stays as it is."""
    return RunBody.model_validate(await runs.cancel_run(ctx, run_id))
