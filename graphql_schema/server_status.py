"""How the server is, in GraphQL."""

from typing import Self

import strawberry

from core.resolvers import server_status
from core.resolvers.server_status import MOST_COUNTED
from graphql_schema.context import Info


@strawberry.type(
    description="How the server is now. A trouble is a sentence for operators; null while all is well."
)
class ServerStatus:
    version: str = strawberry.field(description="The version of the server.")
    provider_trouble: str | None = strawberry.field(description="Why no answers come from the provider.")
    index_trouble: str | None = strawberry.field(description="Why the search index does not keep up.")
    embedding_model: str = strawberry.field(description="The model that search by meaning uses.")
    pending_texts: int = strawberry.field(
        description=f"How many texts of everybody's wait to be indexed; counted up to {MOST_COUNTED:,}."
    )
    queued_runs: int = strawberry.field(description="How many answers wait for their turn.")
    active_runs: int = strawberry.field(description="How many answers are being written, by all processes.")

    @classmethod
    def of(cls, found: server_status.ServerStatus) -> Self:
        """The status as clients see it."""
        return cls(
            version=found.version,
            provider_trouble=found.provider_trouble,
            index_trouble=found.index_trouble,
            embedding_model=found.embedding_model,
            pending_texts=found.pending_texts,
            queued_runs=found.queued_runs,
            active_runs=found.active_runs,
        )


@strawberry.type
class ServerStatusQuery:
    @strawberry.field(
        description="How the server is: provider, search index, queue; for administrators only."
    )
    async def server_status(self, info: Info) -> ServerStatus:
        return ServerStatus.of(await server_status.server_status(info.context.core))
