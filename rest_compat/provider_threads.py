"""Routes of `/provider-threads`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from core.resolvers import provider_threads
from core.runs.ending import LONGEST_CONVERSATION_ID
from core.runs.history import PROVIDER
from rest_compat import examples
from rest_compat.bodies import Body, Instant, JsonObject, problems
from rest_compat.dependencies import SignedIn, SignedInRoute

router = APIRouter(
    route_class=SignedInRoute,
    prefix="/provider-threads/{thread_id}",
    tags=["provider threads"],
    responses=problems(401, 403, 404),
)


class ProviderThreadBody(Body):
    """What a provider wants to be told again with the next message."""

    model_config = examples.PROVIDER_THREAD

    id: UUID
    thread_id: UUID
    provider: str
    conversation_id: str | None
    payload: JsonObject
    created_at: Instant
    updated_at: Instant


class ProviderThreadChangeBody(Body):
    """The state to keep; it replaces what was kept before."""

    model_config = examples.PROVIDER_THREAD_CHANGE

    provider: Annotated[str | None, Field(min_length=1, max_length=provider_threads.LONGEST_PROVIDER)] = None
    conversation_id: Annotated[str | None, Field(max_length=LONGEST_CONVERSATION_ID)] = None
    payload: JsonObject | None = None


@router.get("")
async def get_provider_thread(
    ctx: SignedIn, thread_id: UUID, provider: Annotated[str, Query(max_length=64)] = PROVIDER
) -> ProviderThreadBody:
    """The state that is kept for a provider."""
    found = await provider_threads.get_provider_thread(ctx, thread_id, provider=provider)
    return ProviderThreadBody.model_validate(found)


@router.put("", responses=problems(400, 413))
async def set_provider_thread(
    ctx: SignedIn, thread_id: UUID, body: ProviderThreadChangeBody
) -> ProviderThreadBody:
    """Keep this state for a provider."""
    kept = await provider_threads.set_provider_thread(
        ctx,
        thread_id,
        provider=body.provider or PROVIDER,
        conversation_id=body.conversation_id,
        payload=body.payload,
    )
    return ProviderThreadBody.model_validate(kept)
