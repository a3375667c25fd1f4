"""GraphQL over HTTP: requests, their statuses, and the streams that answer them.

https://graphql.github.io/graphql-over-http/draft/
"""

from graphql import OperationType
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from graphql_schema.context import GraphQLContext
from graphql_schema.operations import Operation, OperationRequest, Operations, Payload, Rejected
from graphql_schema.transports import negotiation, requests
from graphql_schema.transports.admission import Admission
from graphql_schema.transports.decoding import BadRequest
from graphql_schema.transports.encoding import encode
from graphql_schema.transports.negotiation import Format, MediaRange
from graphql_schema.transports.responses import (
    STREAMS,
    context_of,
    failure,
    failure_of,
    payload_response,
    services_of,
)
from graphql_schema.transports.shared_streams import SharedStreams
from graphql_schema.transports.streaming import StreamResponse, token_ending


class HttpTransport:
    """Answers the requests of one path."""

    def __init__(self, operations: Operations, admission: Admission) -> None:
        self._operations = operations
        self._admission = admission
        self._shared_streams = SharedStreams(operations, admission)

    async def handle(self, request: Request) -> ASGIApp:
        """The response to a request."""
        accepted = negotiation.parse_accept(request.headers.getlist("accept"))
        try:
            return await self._answer(request, accepted)
        except Rejected as error:
            return payload_response(error.payload, accepted)
        except BadRequest as error:
            return failure(error.status, str(error), error.code, error.headers)
        except Exception as error:  # noqa: BLE001 - it is logged, or it is one of core's
            return failure_of(error)
        finally:
            await request.close()  # the files of a multipart request

    async def _answer(self, request: Request, accepted: list[MediaRange]) -> ASGIApp:
        if self._shared_streams.takes(request):
            return await self._shared_streams.handle(request)
        if request.method == "POST":
            asked = await requests.read_post(request, services_of(request).settings)
        elif request.method == "GET":
            asked = requests.read_get(request)
        else:
            raise BadRequest(405, "Use POST, or GET for queries", {"Allow": "GET, POST, PUT"})
        context = await context_of(request)
        if isinstance(asked, list):
            return await self._batch(asked, context, accepted)
        return await self._one(request, asked, context, accepted)

    async def _one(
        self, request: Request, asked: OperationRequest, context: GraphQLContext, accepted: list[MediaRange]
    ) -> ASGIApp:
        operation = self._operations.prepare(asked, context)
        if request.method == "GET" and operation.kind is OperationType.MUTATION:
            raise BadRequest(405, "Mutations must be sent by POST", {"Allow": "POST"})
        if operation.kind is OperationType.SUBSCRIPTION:
            return await self._stream(request, operation, context, accepted)
        if negotiation.answer_format(accepted) is None:
            raise BadRequest(406, "Accept application/graphql-response+json or application/json")
        return payload_response(await self._operations.execute(operation, context), accepted)

    async def _stream(
        self, request: Request, operation: Operation, context: GraphQLContext, accepted: list[MediaRange]
    ) -> StreamResponse:
        chosen = negotiation.stream_format(accepted)
        if chosen is None:
            formats = "text/event-stream, or multipart/mixed;subscriptionSpec=1.0"
            raise BadRequest(406, f"Accept {formats}; or use a WebSocket")
        services, codec = services_of(request), STREAMS[chosen]
        with await self._admission.admit(request, context.user_id) as places:
            events = await self._operations.subscribe(operation, context)
            return StreamResponse(
                codec.pieces(events),
                content_type=codec.CONTENT_TYPE,
                heartbeat=codec.HEARTBEAT,
                heartbeat_seconds=services.settings.heartbeat_seconds,
                ending=token_ending(services, context.bearer),
                farewell=codec.farewell,
                places=places.pop_all(),
            )

    async def _batch(
        self, asked: list[OperationRequest], context: GraphQLContext, accepted: list[MediaRange]
    ) -> Response:
        """Execute all of these, whose costs count together; one that is refused does not stop the others."""
        if negotiation.answer_format(accepted) not in (Format.JSON, Format.GRAPHQL_JSON):
            raise BadRequest(406, "A batch is answered in JSON; accept application/json")
        prepared = [self._prepared(item, context) for item in asked]
        operations = [item for item in prepared if isinstance(item, Operation)]
        if any(operation.kind is OperationType.SUBSCRIPTION for operation in operations):
            raise BadRequest(400, "A batch cannot hold subscriptions")
        self._operations.check_cost(sum(operation.cost for operation in operations))
        answers = [
            await self._executed(item, context) if isinstance(item, Operation) else item for item in prepared
        ]
        return Response(encode(answers), media_type=negotiation.JSON)

    def _prepared(self, asked: OperationRequest, context: GraphQLContext) -> Operation | Payload:
        try:
            return self._operations.prepare(asked, context)
        except Rejected as error:
            return error.payload

    async def _executed(self, operation: Operation, context: GraphQLContext) -> Payload:
        try:
            return await self._operations.execute(operation, context)
        except Rejected as error:
            return error.payload
