"""Models in GraphQL."""

import strawberry

from core.resolvers import models
from graphql_schema.context import Info


@strawberry.type(description="A model, or an agent, that the provider offers.")
class Model:
    id: str = strawberry.field(description="What `sendMessage` takes as `model`.")
    name: str | None = strawberry.field(description="A name for people.")


@strawberry.type
class ModelQuery:
    @strawberry.field(description="The models that the caller may name.")
    async def models(self, info: Info) -> list[Model]:
        found = await models.list_models(await info.context.core())
        return [Model(id=model.id, name=model.name) for model in found]
