"""The routes of the GraphQL API, on one path."""

from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from core.settings import Settings
from graphql_schema.documents import Documents, load_allowed
from graphql_schema.limits import Limits
from graphql_schema.operations import Operations
from graphql_schema.schema import core_schema
from graphql_schema.transports.admission import Admission
from graphql_schema.transports.http import HttpTransport
from graphql_schema.transports.websocket import WebSocketTransport


def graphql_routes(settings: Settings, path: str, schema: GraphQLSchema = core_schema) -> list[BaseRoute]:
    """The routes of the API. Raises `SettingsError` if the list of allowed operations cannot be read."""
    admission = Admission(settings)
    operations = Operations(schema, documents(settings, schema), settings)
    http = HttpTransport(operations, admission)
    websocket = WebSocketTransport(operations, admission, settings.cors_origins)
    return [Route(path, _Endpoint(http)), WebSocketRoute(path, websocket.handle)]


def documents(settings: Settings, schema: GraphQLSchema = core_schema) -> Documents:
    """The documents of a deployment, within its limits. Raises `SettingsError`."""
    file = settings.graphql_allowed_operations
    return Documents(
        schema,
        limits(settings),
        largest=settings.graphql_max_document_length,
        suggestions=settings.graphql_suggestions,
        allowed=load_allowed(file) if file is not None else None,
    )


def limits(settings: Settings) -> Limits:
    """The limits on documents that the settings say."""
    return Limits(
        max_tokens=settings.graphql_max_tokens,
        max_depth=settings.graphql_max_depth,
        max_aliases=settings.graphql_max_aliases,
        max_directives=settings.graphql_max_directives,
        max_root_fields=settings.graphql_max_root_fields,
        max_fragments=settings.graphql_max_fragments,
        max_operations=settings.graphql_max_operations,
        max_field_pairs=settings.graphql_max_field_pairs,
    )


class _Endpoint:
    """Every method of the path; a plain ASGI application, so that streams pass untouched."""

    def __init__(self, http: HttpTransport) -> None:
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        answer = await self._http.handle(Request(scope, receive))
        await answer(scope, receive, send)
