"""The schema: composition only."""

import strawberry
from graphql import GraphQLSchema, get_named_type
from strawberry.schema.config import StrawberryConfig

from graphql_schema.auth import AuthMutation
from graphql_schema.errors import HANDLERS
from graphql_schema.messages import MessageMutation, MessageQuery
from graphql_schema.models import ModelQuery
from graphql_schema.node_queries import NodeQuery
from graphql_schema.provider_threads import ProviderThreadMutation
from graphql_schema.runs import RunMutation, RunQuery
from graphql_schema.scalars import SCALARS
from graphql_schema.search import SearchQuery
from graphql_schema.sending import SendingMutation
from graphql_schema.server_status import ServerStatusQuery
from graphql_schema.subscriptions import Subscription
from graphql_schema.threads import ThreadMutation, ThreadQuery
from graphql_schema.users import UserMutation, UserQuery


@strawberry.type(description="What can be read.")
class Query(
    NodeQuery, UserQuery, ThreadQuery, MessageQuery, RunQuery, ModelQuery, SearchQuery, ServerStatusQuery
):
    pass


@strawberry.type(
    description="What can be done. Each gives its success, or one of its failures; these implement `Error`."
)
class Mutation(
    AuthMutation,
    UserMutation,
    ThreadMutation,
    SendingMutation,
    MessageMutation,
    RunMutation,
    ProviderThreadMutation,
):
    pass


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(scalar_map=SCALARS),
    exception_handlers=HANDLERS,
)

# What executes: graphql-core's schema beneath. Strawberry has no public name for it.
core_schema: GraphQLSchema = schema._schema  # noqa: SLF001

# Strawberry would have each mutation repeat it.
for _mutation in core_schema.mutation_type.fields.values() if core_schema.mutation_type else ():
    for _argument in _mutation.args.values():
        _argument.description = get_named_type(_argument.type).description
