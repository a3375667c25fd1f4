"""From a request to the context that resolvers take."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from core.context import Context, Services
from core.errors import Unauthenticated
from core.resolvers.auth import authenticate
from rest_compat.json_bodies import JsonRoute

_bearer = HTTPBearer(auto_error=False, description="The `access_token` of `POST /auth/login`")

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def services(request: Request) -> Services:
    """The parts of this process. A coroutine, since FastAPI sends functions to a thread, for each request."""
    parts: Services = request.app.state.services
    return parts


Parts = Annotated[Services, Depends(services)]


async def anonymous(parts: Parts) -> Context:
    """A context without a caller."""
    return parts.context(None)


class SignedInRoute(JsonRoute):
    """A route that looks at the token before it reads the body: strangers' bodies are not parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind the check."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            request.state.signed_in = await _signed_in(await services(request), await _bearer(request))
            return await handle(request)

        return checked


async def signed_in(request: Request, parts: Parts, credentials: Credentials) -> Context:
    """A context of the bearer's. Raises `Unauthenticated`."""
    known: Context | None = getattr(request.state, "signed_in", None)
    return known or await _signed_in(parts, credentials)


async def maybe_signed_in(parts: Parts, credentials: Credentials) -> Context:
    """A context of the bearer's if the token counts, else one without a caller."""
    try:
        return await _signed_in(parts, credentials)
    except Unauthenticated:
        return parts.context(None)


async def _signed_in(parts: Services, credentials: HTTPAuthorizationCredentials | None) -> Context:
    if credentials is None:
        raise Unauthenticated("Not authenticated")
    return parts.context(await authenticate(parts.context(None), credentials.credentials))


Anonymous = Annotated[Context, Depends(anonymous)]
SignedIn = Annotated[Context, Depends(signed_in)]
MaybeSignedIn = Annotated[Context, Depends(maybe_signed_in)]
PageNumber = Annotated[int, Query(ge=1, description="Page to return, from 1")]
PageLimit = Annotated[int, Query(ge=1, description="Items on a page; more than 100 is cut to 100")]
