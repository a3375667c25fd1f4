"""Responses that are sent whole, and what their statuses mean."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from core.context import Services
from core.errors import Unauthenticated, Unavailable
from core.logs import get_logger
from graphql_schema.context import GraphQLContext, open_context
from graphql_schema.errors import INTERNAL, refusal, told
from graphql_schema.operations import Payload
from graphql_schema.transports import event_streams, multipart, negotiation
from graphql_schema.transports.admission import TooManyConnections
from graphql_schema.transports.encoding import encode
from graphql_schema.transports.negotiation import Format, MediaRange
from graphql_schema.transports.streaming import Codec

VARY = {"Vary": "Accept"}
RETRY_LATER = {"Retry-After": "5"}
STREAMS: Mapping[Format | None, Codec] = {Format.EVENT_STREAM: event_streams, Format.MULTIPART: multipart}

_logger = get_logger(__name__)


def payload_response(payload: Payload, accepted: list[MediaRange]) -> Response:
    """A response to an operation.

    Plain JSON is 200 whatever happened, for clients that know nothing else; the media type of GraphQL
    tells by 400 that nothing was executed. A stream tells it inside: that is all that its clients read.
    """
    chosen = negotiation.answer_format(accepted)
    if chosen in STREAMS:
        codec = STREAMS[chosen]
        return Response(codec.whole(payload), 200, VARY, codec.CONTENT_TYPE)
    media_type = negotiation.GRAPHQL_JSON if chosen is Format.GRAPHQL_JSON else negotiation.JSON
    is_rejected = "data" not in payload
    is_told_by_status = chosen is not Format.JSON
    status = 400 if is_rejected and is_told_by_status else 200
    return Response(encode(payload), status, VARY, f"{media_type}; charset=utf-8")


def failure(status: int, message: str, code: str, headers: dict[str, str] | None = None) -> Response:
    """A response to a request that is none that this API takes."""
    body = encode({"errors": told([refusal(message, code)])})
    return Response(body, status, headers, media_type=negotiation.JSON)


def failure_of(error: Exception) -> Response:
    """A response to a request that failed before an operation could."""
    if isinstance(error, Unauthenticated):
        return failure(401, str(error), error.code, {"WWW-Authenticate": "Bearer"})
    if isinstance(error, TooManyConnections):
        return failure(429, str(error), error.code, RETRY_LATER)
    if isinstance(error, Unavailable):
        return failure(503, str(error), error.code, RETRY_LATER)
    _logger.error("internal error in a GraphQL request", exc_info=error)
    return failure(500, "Internal error", INTERNAL)


def services_of(request: Request) -> Services:
    """The parts of this process."""
    services: Services = request.app.state.services
    return services


async def context_of(request: Request) -> GraphQLContext:
    """The context of the operation that this request brings."""
    context = await open_context(services_of(request), request.headers.get("authorization"))
    context.last_event_id = request.headers.get("last-event-id")
    return context
