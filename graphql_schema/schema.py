"""The schema: composition only."""

import strawberry
from strawberry.tools import merge_types

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

schema = strawberry.Schema(
    query=Query, mutation=Mutation, subscription=RunSubscription, extensions=[TypedErrors]
)
