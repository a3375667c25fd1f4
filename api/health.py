"""Whether this process lives, and whether it should be given work."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from core.context import Services
from core.errors import Unavailable
from rest_compat.dependencies import services

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """How this process is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str
    detail: str | None = None


@router.get("/health", response_model_exclude_none=True)
async def health() -> Health:
    """Answers while the process lives."""
    return Health(status="ok")


@router.get(
    "/health/ready",
    response_model_exclude_none=True,
    responses={503: {"model": Health, "description": "Give this process no work"}},
)
async def ready(parts: Annotated[Services, Depends(services)], response: Response) -> Health:
    """Whether requests should be sent here: the database answers and no shutdown is under way.

    `degraded` is ready, but that the search index does not keep up; `detail` says why.
    """
    try:
        await parts.db.ping()
    except Unavailable:
        response.status_code = 503
        return Health(status="database unavailable")
    if parts.leaving.is_set() or parts.runs.is_draining:
        response.status_code = 503
        return Health(status="draining")
    trouble = parts.search.health.trouble
    if trouble is not None:
        return Health(status="degraded", detail=trouble)
    return Health(status="ok")
