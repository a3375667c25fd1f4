"""The application: both APIs over one core."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api.health import router as health_router
from api.middleware import BodyLimit, RequestLog
from api.playground import playground_routes
from api.services import running_services
from api.web_client import client_routes
from core.settings import Settings
from core.version import __version__
from graphql_schema.transports.router import graphql_routes
from rest_compat.errors import add_error_handlers
from rest_compat.router import router as rest_router

GRAPHQL_PATH = "/graphql"

DESCRIPTION = """\
Chat threads, messages and streamed answers over an OpenAI-compatible provider.

Sign in with `POST /auth/login` and give the `access_token` as bearer token. The GraphQL API is at
`/graphql`.
"""


def create_app(settings: Settings) -> FastAPI:
    """An application that starts its parts with its lifespan and drains at its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_services(settings) as services:
            app.state.services = services
            yield

    app = FastAPIOffline(
        title="gwp-chat",
        version=__version__,
        description=DESCRIPTION,
        redoc_url=None,
        static_url="/docs/static",
        favicon_url="/docs/static/favicon.png",
        swagger_ui_parameters={"persistAuthorization": True},
        lifespan=lifespan,
        middleware=_middleware(settings),
        # Scripts post JSON without naming it, as `requests.post(data=…)` does.
        strict_content_type=False,
    )
    add_error_handlers(app)
    # First, as routes are tried in order, and trying all of REST's takes a while.
    app.router.routes += [
        *playground_routes(GRAPHQL_PATH),
        *graphql_routes(settings, GRAPHQL_PATH),
        *client_routes(),
    ]
    app.include_router(health_router)
    app.include_router(rest_router, prefix=settings.api_prefix)
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=[
                "accept",
                "authorization",
                "content-type",
                "apollo-require-preflight",
                "graphql-require-preflight",
                "idempotency-key",
                "last-event-id",
                "x-apollo-operation-name",
                "x-graphql-event-stream-token",
                "x-skip-auth-refresh",
            ],
            expose_headers=["content-disposition", "x-request-id", "x-run-id"],
            # Tokens travel in a header, so no origin ever needs cookies.
            allow_credentials=False,
            max_age=600,
        ),
        # Inside CORS, so that browsers elsewhere can read its answer to an internal error.
        Middleware(RequestLog),
        Middleware(
            BodyLimit,
            limit=settings.max_body_bytes,
            timeout=settings.body_timeout_seconds,
            graphql_path=GRAPHQL_PATH,
        ),
    ]
