"""Routes of `/models`."""

from fastapi import APIRouter

from core.resolvers import models
from rest_compat import examples
from rest_compat.bodies import Body, problems
from rest_compat.dependencies import SignedIn, SignedInRoute

router = APIRouter(
    route_class=SignedInRoute, prefix="/models", tags=["models"], responses=problems(401, 502, 503)
)


class ModelCardBody(Body):
    """A model, or an agent."""

    id: str
    name: str | None


class ModelsBody(Body):
    """What the caller may name as `model`."""

    model_config = examples.MODELS

    models: list[str]
    cards: list[ModelCardBody]


@router.get("")
async def list_models(ctx: SignedIn) -> ModelsBody:
    """The provider's models."""
    found = await models.list_models(ctx)
    return ModelsBody(
        models=[model.id for model in found],
        cards=[ModelCardBody.model_validate(model) for model in found],
    )
