"""One event stream for many operations: the single connection mode of graphql-sse.

PUT reserves a stream and answers its token; GET with the token opens it; POST with the token starts an
operation whose events go to the stream; DELETE stops one.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from graphql_schema.context import GraphQLContext
from graphql_schema.operations import Operations, Rejected
from graphql_schema.transports import event_streams, negotiation, requests
from graphql_schema.transports.admission import Admission
from graphql_schema.transports.decoding import BadRequest
from graphql_schema.transports.encoding import encode
from graphql_schema.transports.event_streams import EventStream, EventStreams
from graphql_schema.transports.responses import context_of, services_of
from graphql_schema.transports.streaming import StreamResponse, begin, token_ending, token_ending_or_shutdown


class SharedStreams:
    """Answers the requests of this protocol."""

    def __init__(self, operations: Operations, admission: Admission) -> None:
        self._operations = operations
        self._admission = admission
        self._streams = EventStreams()

    def takes(self, request: Request) -> bool:
        """Whether this request is one of this protocol."""
        return request.method == "PUT" or _token(request) is not None

    async def handle(self, request: Request) -> ASGIApp:
        """The response to a request. Raises `BadRequest`, `Unauthenticated`, `TooManyConnections`."""
        context = await context_of(request)
        context.check_token()
        if request.method == "PUT":
            return await self._reserve(request, context)
        token = _token(request) or ""
        stream = self._streams.get(token, context.user_id)
        if stream is None:
            raise BadRequest(404, event_streams.NO_SUCH_STREAM)
        if request.method == "GET":
            return self._open(request, context, stream)
        if request.method == "POST":
            return await self._start(request, context, stream)
        if request.method == "DELETE":
            await stream.stop(request.query_params.get("operationId", ""))
            return Response()
        raise BadRequest(405, "Use PUT, GET, POST or DELETE", {"Allow": "PUT, GET, POST, DELETE"})

    async def _reserve(self, request: Request, context: GraphQLContext) -> Response:
        most = services_of(request).settings.graphql_max_subscriptions
        with await self._admission.admit(request, context.user_id) as places:
            if context.user_id is None:
                await self._admission.add_nobody(places, request)
            stream = EventStream(context.user_id, context.bearer, most, places.pop_all())
            return PlainTextResponse(self._streams.reserve(stream), 201)

    def _open(self, request: Request, context: GraphQLContext, stream: EventStream) -> StreamResponse:
        if stream.is_open:
            raise BadRequest(409, "This stream is open already")
        services = services_of(request)
        stream.is_open = True
        return StreamResponse(
            stream.pieces(),
            content_type=event_streams.CONTENT_TYPE,
            heartbeat=event_streams.HEARTBEAT,
            heartbeat_seconds=services.settings.heartbeat_seconds,
            ending=token_ending_or_shutdown(services, context.bearer, stream.bearer),
            farewell=stream.farewell,
            places=stream.places,
        )

    async def _start(self, request: Request, context: GraphQLContext, stream: EventStream) -> Response:
        asked = await requests.read_post(request, services_of(request).settings)
        if isinstance(asked, list):
            raise BadRequest(400, "A stream takes one operation a request")
        operation_id = asked.extensions.get("operationId")
        if not isinstance(operation_id, str) or not operation_id:
            raise BadRequest(400, "`extensions.operationId` must be a text of the client's choice")
        stream.check(operation_id)
        try:
            operation = self._operations.prepare(asked, context)
        except Rejected as error:
            return Response(encode(error.payload), 400, media_type=negotiation.JSON)
        # The token that reserved the stream is watched with the stream.
        watched = None if stream.is_bearers(context.bearer) else context.bearer
        stream.start(
            operation_id,
            partial(begin, self._operations, operation, context),
            partial(token_ending, services_of(request), watched),
        )
        return Response(status_code=202)


def _token(request: Request) -> str | None:
    return request.headers.get(event_streams.TOKEN_HEADER) or request.query_params.get("token")
