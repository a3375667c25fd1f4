"""From a connection to the context that resolvers take: one way for every transport."""

from typing import Any

import strawberry
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket
from strawberry.fastapi import BaseContext

from core.context import Context, Services
from core.errors import Unauthenticated
from core.resolvers.auth import authenticate

BEARER = "bearer "


class GraphQLContext(BaseContext):
    """The connection of an operation: one request, or a socket that carries many operations."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._context: Context | None = None

    async def core(self) -> Context:
        """The context of the caller, or of nobody. Raises `Unauthenticated` for a token that is no good."""
        if self._context is None:
            anonymous = self._services.context(None)
            token = self._token()
            context = self._services.context(await authenticate(anonymous, token)) if token else anonymous
            if isinstance(self.request, WebSocket):
                return context  # a socket outlives tokens: ask again each time
            self._context = context
        return self._context

    async def core_or_anonymous(self) -> Context:
        """As `core`, but a token that is no good counts as none."""
        try:
            return await self.core()
        except Unauthenticated:
            return self.anonymous

    @property
    def anonymous(self) -> Context:
        """A context without a caller, whatever token came along."""
        return self._services.context(None)

    def _token(self) -> str | None:
        value = self.request.headers.get("authorization") if self.request is not None else None
        if value is None and isinstance(self.connection_params, dict):
            # Browsers cannot set headers on a WebSocket: the connection's parameters stand in.
            params = {str(key).lower(): item for key, item in self.connection_params.items()}
            value = params.get("authorization")
        if not isinstance(value, str) or not value.lower().startswith(BEARER):
            return None
        return value[len(BEARER) :].strip()


def get_context(connection: HTTPConnection) -> GraphQLContext:
    """The context of a connection, for Strawberry."""
    return GraphQLContext(connection.app.state.services)


Info = strawberry.Info[GraphQLContext, Any]
