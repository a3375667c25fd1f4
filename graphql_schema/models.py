"""Models in GraphQL."""

import strawberry

from core.resolvers import models
from graphql_schema.context import Info


@strawberry.type(description="A model, or an agent, that the provider offers.")
class Model:
    id: strawberry.ID = strawberry.field(description="What `sendMessage` takes as `model`; no UUID.")
    name: str | None = strawberry.field(description="A name for people.")


@strawberry.type
class ModelQuery:
    @strawberry.field(description="The models that the caller may name, in the provider's order.")
    async def models(self, info: Info) -> list[Model]:
        found = await models.list_models(info.context.core)
        return [Model(id=strawberry.ID(model.id), name=model.name) for model in found]
