"""Core's errors as HTTP answers: decided here, once, for every route."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from core.errors import (
    AnswerStopped,
    Conflict,
    CoreError,
    InvalidInput,
    InvalidRequest,
    NotAllowed,
    NotFound,
    ProviderError,
    QueueFull,
    Unauthenticated,
    Unavailable,
)

RETRY_SECONDS = "5"
INTERNAL = "Internal Server Error"
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

_logger = logging.getLogger(__name__)

_STATUS: Sequence[tuple[type[CoreError], int]] = (
    (Unauthenticated, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (Conflict, 409),
    (InvalidInput, 422),
    (InvalidRequest, 400),
    (QueueFull, 429),
    (ProviderError, 502),
    (Unavailable, 503),
    (AnswerStopped, 503),
)


def status_of(error: CoreError) -> int:
    """The HTTP status of an error; 500 for one that no caller could have caused."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def add_error_handlers(app: FastAPI) -> None:
    """Make every failure of a route a JSON body `{"detail": …}`."""

    @app.exception_handler(CoreError)
    async def core_error(_request: Request, error: CoreError) -> JSONResponse:
        status = status_of(error)
        if isinstance(error, InvalidInput):
            loc = ["body", *error.field.split(".")]
            return JSONResponse(
                {"detail": [{"type": error.code.lower(), "loc": loc, "msg": str(error)}]}, status
            )
        headers = {}
        if status == 401:  # noqa: PLR2004
            headers["WWW-Authenticate"] = "Bearer"
        elif isinstance(error, QueueFull | Unavailable):
            headers["Retry-After"] = RETRY_SECONDS
        return JSONResponse({"detail": INTERNAL if status == 500 else str(error)}, status, headers)  # noqa: PLR2004

    @app.exception_handler(RequestValidationError)
    async def validation_error(_request: Request, error: RequestValidationError) -> JSONResponse:
        # Without `input`: it would echo passwords and whole bodies back.
        return JSONResponse({"detail": [_without_input(item) for item in error.errors()]}, 422)

    @app.exception_handler(405)
    async def method_not_allowed(request: Request, error: HTTPException) -> JSONResponse:
        # Starlette's own header names the methods of the path's first route only.
        allowed = [method for method in METHODS if _has_route(app, request, method)]
        return JSONResponse({"detail": error.detail}, 405, {"Allow": ", ".join(allowed)})


def _has_route(app: FastAPI, request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)


def _without_input(item: Any) -> dict[str, Any]:
    return {key: item[key] for key in ("type", "loc", "msg") if key in item}
