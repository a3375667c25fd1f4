"""What `bench.graphql` compares: our API, plain Strawberry and a bare route, on the same records."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from unittest.mock import patch
from uuid import UUID

import msgspec
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from strawberry.asgi import GraphQL
from strawberry.scalars import JSON

from core.auth.bearers import Bearer
from core.context import Context
from core.db.keyset import Slice, Window
from core.db.records import Message, MessageStatus, SenderType, Thread, User
from core.ids import new_id
from core.resolvers import changes, messages, threads
from core.settings import Settings
from graphql_schema import context as graphql_context
from graphql_schema.context import GraphQLContext
from graphql_schema.operations import OperationRequest, Operations
from graphql_schema.schema import core_schema
from graphql_schema.transports.router import documents, graphql_routes

FIELDS = "__typename id sender status text metadata error correlationId createdAt updatedAt"
QUERY = f"""query Bench {{ threads(first: 20) {{ edges {{ node {{
  id title messages(first: 5) {{ edges {{ node {{ {FIELDS}
  usage {{ completionTokens }} }} }} }} }} }} }} }}"""
SMALL_QUERY = "{ viewer { user { id username } permissions } }"

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
USER = User(new_id(), "ada", None, None, (), (), (), True, 0, NOW, NOW, NOW)


def _message(thread_id: UUID, position: int) -> Message:
    is_answer = position % 2 == 0
    return Message(
        id=new_id(),
        thread_id=thread_id,
        position=position,
        parent_id=None,
        sender_id="assistant" if is_answer else str(USER.id),
        sender_type=SenderType.ASSISTANT if is_answer else SenderType.USER,
        status=MessageStatus.READY,
        text="All happy families are alike; each unhappy family is unhappy in its own way. " * 3,
        metadata={"client": "web", "tags": ["a", "b"]},
        tokens_count=57 if is_answer else None,
        error_code=None,
        correlation_id=f"chatcmpl-{position}",
        created_at=NOW + timedelta(seconds=position),
        updated_at=NOW + timedelta(seconds=position),
    )


THREADS = tuple(
    Thread(new_id(), USER.id, f"Thread {number}", None, {"model": "m"}, False, 5, NOW, NOW, None)
    for number in range(20)
)
MESSAGES = {
    thread.id: tuple(_message(thread.id, position) for position in range(5, 0, -1)) for thread in THREADS
}


# --- ours --------------------------------------------------------------------------------------


async def _slice_threads(_ctx: Context, _window: Window[Any], **_options: Any) -> Slice[Thread]:
    return Slice(THREADS, has_next=False, has_previous=False, total=len(THREADS))


async def _slice_messages(_ctx: Context, asked: Sequence[tuple[Thread, Any]]) -> list[Slice[Message]]:
    return [Slice(MESSAGES[thread.id], has_next=False, has_previous=False, total=5) for thread, _ in asked]


async def _cursor(_ctx: Context) -> str:
    return "0"


async def _bearer(_ctx: Context, token: str) -> Bearer:
    return Bearer(token, USER, NOW)


class _Services:
    """The parts of a process that this query touches: its settings."""

    settings = Settings(_env_file=None)

    def context(self, caller: User | None) -> Context:
        parts = dict.fromkeys(("db", "files", "provider", "runs", "passwords", "tokens", "signals"), None)
        return Context(settings=self.settings, caller=caller, **parts)  # type: ignore[arg-type]


def our_app() -> ASGIApp:
    """Our API with everything on, but for the database: its reads answer out of memory."""
    for module, name, read in (
        (threads, "slice_threads", _slice_threads),
        (messages, "slice_messages", _slice_messages),
        (changes, "threads_cursor", _cursor),
        (graphql_context, "authenticate_bearer", _bearer),
    ):
        patch.object(module, name, read).start()
    app = Starlette(routes=graphql_routes(_Services.settings, "/graphql"))
    app.state.services = _Services()
    return app


def small_prepare() -> Callable[[], Awaitable[bytes]]:
    """All guard rails of a small query whose document is known."""
    operations = Operations(core_schema, documents(_Services.settings), _Services.settings)
    context = GraphQLContext(_Services(), None)  # type: ignore[arg-type]

    async def prepare() -> bytes:
        operations.prepare(OperationRequest(query=SMALL_QUERY), context)
        return b""

    return prepare


# --- plain Strawberry --------------------------------------------------------------------------


@strawberry.enum(name="SenderType")
class PlainSender(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


@strawberry.enum(name="MessageStatus")
class PlainStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    READY = "ready"
    ERROR = "error"


@strawberry.type(name="Usage")
class PlainUsage:
    completion_tokens: int | None


@strawberry.type(name="Message")
class PlainMessage:
    id: strawberry.ID
    sender: PlainSender
    status: PlainStatus
    text: str
    metadata: JSON
    error: str | None
    correlation_id: str | None
    created_at: datetime
    updated_at: datetime
    usage: PlainUsage | None


@strawberry.type(name="MessageEdge")
class PlainMessageEdge:
    node: PlainMessage
    cursor: str


@strawberry.type(name="MessageConnection")
class PlainMessages:
    edges: list[PlainMessageEdge]


@strawberry.type(name="Thread")
class PlainThread:
    id: strawberry.ID
    title: str | None
    thread_id: strawberry.Private[UUID]

    @strawberry.field
    async def messages(self, first: int = 20) -> PlainMessages:
        edges = [
            PlainMessageEdge(node=_plain(item), cursor=str(item.position))
            for item in MESSAGES[self.thread_id][:first]
        ]
        return PlainMessages(edges=edges)


@strawberry.type(name="ThreadEdge")
class PlainThreadEdge:
    node: PlainThread
    cursor: str


@strawberry.type(name="ThreadConnection")
class PlainThreads:
    edges: list[PlainThreadEdge]


@strawberry.type(name="Query")
class PlainQuery:
    @strawberry.field
    async def threads(self, first: int = 20) -> PlainThreads:
        nodes = [
            PlainThread(id=strawberry.ID(str(item.id)), title=item.title, thread_id=item.id)
            for item in THREADS[:first]
        ]
        return PlainThreads(edges=[PlainThreadEdge(node=node, cursor=node.id) for node in nodes])


def _plain(item: Message) -> PlainMessage:
    is_answer = item.sender_type is SenderType.ASSISTANT
    return PlainMessage(
        id=strawberry.ID(str(item.id)),
        sender=PlainSender(item.sender_type.value),
        status=PlainStatus(item.status.value),
        text=item.text,
        metadata=JSON(item.metadata),
        error=item.error_code,
        correlation_id=item.correlation_id,
        created_at=item.created_at,
        updated_at=item.updated_at,
        usage=PlainUsage(completion_tokens=item.tokens_count) if is_answer else None,
    )


def plain_app() -> ASGIApp:
    """The same fields by Strawberry with its defaults."""
    return GraphQL(strawberry.Schema(query=PlainQuery))


# --- a bare route ------------------------------------------------------------------------------


def bare_app() -> ASGIApp:
    """The same data by a Starlette route and msgspec: what any API costs at least."""

    async def answer(request: Request) -> Response:
        await request.body()
        data = [{"id": item.id, "title": item.title, "messages": MESSAGES[item.id]} for item in THREADS]
        return Response(msgspec.json.encode({"threads": data}), media_type="application/json")

    return Starlette(routes=[Route("/", answer, methods=["POST"])])
