"""How operations arrive: HTTP and graphql-transport-ws, with a playground for browsers."""

from datetime import timedelta
from typing import Any

from strawberry.fastapi import GraphQLRouter
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from graphql_schema.context import GraphQLContext, get_context
from graphql_schema.schema import schema

INIT_SECONDS = 10


def graphql_router() -> GraphQLRouter[GraphQLContext, Any]:
    """The routes of the GraphQL API."""
    return GraphQLRouter(
        schema,
        context_getter=get_context,
        subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
        connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
        include_in_schema=False,
    )
