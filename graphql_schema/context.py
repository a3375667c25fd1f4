"""From a connection to the context that resolvers take: one way for every transport."""

from typing import Any
from uuid import UUID

import strawberry

from core.auth.bearers import Bearer
from core.context import Context, Services
from core.errors import Unauthenticated
from core.resolvers.bearers import authenticate_bearer
from graphql_schema.loaders import Loaders

BEARER = "bearer "


class GraphQLContext:
    """One operation: who asks, and what was loaded for it already."""

    def __init__(
        self, services: Services, bearer: Bearer | None, refusal: Unauthenticated | None = None
    ) -> None:
        self.bearer = bearer
        self.anonymous = services.context(None)
        # Where a broken stream of this client is to go on; an event stream's `Last-Event-ID`.
        self.last_event_id: str | None = None
        self._refusal = refusal
        self._core = services.context(bearer.user) if bearer else self.anonymous
        self.loaders = Loaders(self._core)

    def renew_loaders(self, *, cache: bool = True) -> None:
        """Forget what was loaded: a later event of a subscription, or a mutation, must read anew."""
        self.loaders = Loaders(self._core, cache=cache)

    @property
    def core(self) -> Context:
        """The context of the caller, or of nobody. Raises `Unauthenticated` for a token that is no good."""
        self.check_token()
        return self._core

    def check_token(self) -> None:
        """Raise `Unauthenticated` if a token came along that is no good."""
        if self._refusal is not None:
            raise self._refusal

    @property
    def user_id(self) -> UUID | None:
        """Who asks, if somebody is signed in."""
        return self.bearer.user.id if self.bearer is not None else None

    @property
    def core_or_anonymous(self) -> Context:
        """As `core`, but a token that is no good counts as none."""
        return self._core


async def open_context(services: Services, authorization: str | None) -> GraphQLContext:
    """The context of an operation that came with this `Authorization`, or with none."""
    token = bearer_token(authorization)
    if token is None:
        return GraphQLContext(services, None)
    try:
        return GraphQLContext(services, await authenticate_bearer(services.context(None), token))
    except Unauthenticated as error:
        return GraphQLContext(services, None, error)


def bearer_token(authorization: str | None) -> str | None:
    """The token in `Bearer <token>`; None for anything else."""
    if authorization is None or not authorization.lower().startswith(BEARER):
        return None
    return authorization[len(BEARER) :].strip()


Info = strawberry.Info[GraphQLContext, Any]
