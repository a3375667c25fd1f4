"""The schema: composition only."""

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext

from graphql_schema.auth import AuthMutation, AuthQuery
from graphql_schema.errors import TypedErrors
from graphql_schema.messages import MessageMutation, MessageQuery
from graphql_schema.models import ModelQuery
from graphql_schema.provider_threads import ProviderThreadMutation, ProviderThreadQuery
from graphql_schema.runs import RunMutation, RunQuery, RunSubscription
from graphql_schema.threads import ThreadMutation, ThreadQuery

Query = merge_types(
    "Query", (AuthQuery, ThreadQuery, MessageQuery, RunQuery, ModelQuery, ProviderThreadQuery)
)
Mutation = merge_types(
    "Mutation", (AuthMutation, ThreadMutation, MessageMutation, RunMutation, ProviderThreadMutation)
)

# Parsing holds the event loop: a document of megabytes would stop every stream.
MOST_TOKENS = 2000


class _Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing here: the messages quote the caller's document, passwords included."""


schema = _Schema(
    query=Query,
    mutation=Mutation,
    subscription=RunSubscription,
    extensions=[TypedErrors, lambda: MaxTokensLimiter(max_token_count=MOST_TOKENS)],
)
