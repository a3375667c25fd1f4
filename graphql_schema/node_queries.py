"""`node` and `nodes`: anything of the caller's by its id, whatever it is."""

from collections.abc import Callable
from typing import Annotated, Any

import strawberry

from core.context import Context
from core.db import records
from core.resolvers import nodes
from graphql_schema.attachments import Attachment
from graphql_schema.context import Info
from graphql_schema.costs import ListSize
from graphql_schema.errors import BAD_USER_INPUT, refusal
from graphql_schema.messages import Message
from graphql_schema.nodes import Node
from graphql_schema.provider_threads import ProviderThread
from graphql_schema.runs import Run
from graphql_schema.scalars import parse_uuid
from graphql_schema.threads import Thread
from graphql_schema.users import User


@strawberry.type
class NodeQuery:
    @strawberry.field(description="What has this id; null if the caller has nothing by it.")
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")],  # noqa: A002
    ) -> Node | None:
        ctx = info.context.core
        return _shown(ctx, await info.context.loaders.nodes.load(parse_uuid(id)))

    @strawberry.field(
        description="What has these ids, in their order; null where the caller has nothing.",
        directives=[ListSize(slicing_arguments=["ids"])],
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Up to 100 ids.")],
    ) -> list[Node | None]:
        if len(ids) > nodes.MOST_IDS:
            raise refusal(f"ids must have at most {nodes.MOST_IDS} items", BAD_USER_INPUT)
        ctx = info.context.core
        found = await info.context.loaders.nodes.load_many([parse_uuid(item) for item in ids])
        return [_shown(ctx, item) for item in found]


def _shown(ctx: Context, node: nodes.Node | None) -> Node | None:
    match node:
        case records.Message():
            return Message.of(ctx, node)
        case records.Attachment():
            return Attachment.of(ctx, node)
        case None:
            return None
        case _:
            return _SHOWN[type(node)](node)


_SHOWN: dict[type, Callable[[Any], Node]] = {
    records.Thread: Thread.of,
    records.Run: Run.of,
    records.ProviderThread: ProviderThread.of,
    records.User: User.of,
}
