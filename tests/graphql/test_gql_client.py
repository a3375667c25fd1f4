"""The Python client gql, over HTTP with multipart subscriptions and over graphql-transport-ws."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from gql import Client as GqlClient
from gql import FileVar, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.async_transport import AsyncTransport
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from graphql import GraphQLError

from tests.clients import Client
from tests.graphql.operations import RUN_EVENTS, SEND, start_run, text_of
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.servers import ServerProcess

NO_THREAD = "00000000-0000-0000-0000-000000000000"
CREATE = """
mutation Create($input: CreateThreadInput!) {
  createThread(input: $input) { ... on CreateThreadSuccess { thread { id title } } }
}
"""
ATTACHMENTS = """
query Attachments($id: UUID!) {
  run(id: $id) { userMessage { attachments { filename contentType sizeBytes } } }
}
"""


def over_http(server: ServerProcess, user: Client | None) -> AsyncTransport:
    headers = {"Authorization": user.headers["authorization"]} if user else None
    return AIOHTTPTransport(f"{server.url}/graphql", headers=headers)


def over_websocket(server: ServerProcess, user: Client | None) -> WebsocketsTransport:
    payload = {"Authorization": user.headers["authorization"]} if user else None
    url = server.url.replace("http", "ws", 1) + "/graphql"
    return WebsocketsTransport(url, init_payload=payload, subprotocols=["graphql-transport-ws"])


both = pytest.mark.parametrize("connect", [over_http, over_websocket])


async def executed(session: AsyncClientSession, query: str, **variables: Any) -> dict[str, Any]:
    return await session.execute(GraphQLRequest(query, variable_values=variables))


async def code(session: AsyncClientSession, query: str, **variables: Any) -> str:
    """The code of the one error of an operation."""
    with pytest.raises(TransportQueryError) as caught:
        await executed(session, query, **variables)
    (error,) = caught.value.errors or []
    found: str = error["extensions"]["code"]
    return found


async def followed(
    session: AsyncClientSession, run_id: str, after: str | None = None
) -> AsyncGenerator[dict[str, Any], None]:
    request = GraphQLRequest(RUN_EVENTS, variable_values={"runId": run_id, "after": after})
    async with aclosing(session.subscribe(request)) as results:
        async for result in results:
            yield result["runEvents"]


async def until(events: AsyncGenerator[dict[str, Any], None], text: str) -> dict[str, Any]:
    """The event that has this text."""
    return await anext(event async for event in events if event.get("text") == text)


@both
async def test_gql_reads_writes_and_is_told_of_errors(
    server: ServerProcess, user: Client, connect: Any
) -> None:
    async with GqlClient(transport=connect(server, user)) as session:
        viewer = await executed(session, "{ viewer { user { username } } }")
        assert viewer["viewer"]["user"]["username"].startswith("user-")
        created = await executed(session, CREATE, input={"title": "Rome"})
        assert created["createThread"]["thread"]["title"] == "Rome"
        refused = await executed(session, SEND, input={"threadId": NO_THREAD, "text": "Hi", "model": "any"})
        assert refused["sendMessage"]["__typename"] == "ThreadNotFound"
        assert await code(session, '{ threads(after: "no cursor") { totalCount } }') == "BAD_USER_INPUT"
    async with GqlClient(transport=connect(server, None)) as session:
        assert await code(session, "{ threads { totalCount } }") == "UNAUTHENTICATED"


async def test_gql_fetches_the_schema_and_checks_operations_by_it(
    server: ServerProcess, user: Client
) -> None:
    client = GqlClient(transport=over_http(server, user), fetch_schema_from_transport=True)
    async with client as session:
        assert client.schema is not None
        assert "Thread" in client.schema.type_map
        with pytest.raises(GraphQLError, match="Cannot query field 'mood'"):
            await executed(session, "{ viewer { mood } }")


@both
async def test_gql_follows_an_answer_to_its_end(
    server: ServerProcess, user: Client, provider: ProviderProcess, model: str, connect: Any
) -> None:
    provider.script(model, text_stream("Hello", " ", "world"))
    run_id = start_run(user, model)
    async with GqlClient(transport=connect(server, user)) as session:
        events = [event async for event in followed(session, run_id)]
    assert text_of(events) == "Hello world"
    assert [event["status"] for event in events if event["__typename"] == "RunEnded"] == ["COMPLETED"]


@both
async def test_gql_stops_early_and_goes_on_later(
    server: ServerProcess, user: Client, provider: ProviderProcess, model: str, connect: Any
) -> None:
    provider.script(model, text_stream("first", WaitFor(model), "second"))
    run_id = start_run(user, model)
    async with GqlClient(transport=connect(server, user)) as session:
        async with aclosing(followed(session, run_id)) as events:
            cursor = (await until(events, "first"))["cursor"]
        provider.open_gate(model)
        rest = [event async for event in followed(session, run_id, cursor)]
        assert text_of(rest) == "second"
        assert rest[-1]["assistantMessage"]["text"] == "firstsecond"


async def test_gql_comes_back_after_its_socket_broke(
    server: ServerProcess, user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("first", WaitFor(model), "second"))
    run_id = start_run(user, model)
    transport = over_websocket(server, user)
    async with GqlClient(transport=transport) as session:
        events = followed(session, run_id)
        cursor = (await until(events, "first"))["cursor"]
        assert transport.adapter.websocket is not None
        transport.adapter.websocket.transport.abort()
        with pytest.raises(TransportConnectionFailed):
            await anext(events)
    provider.open_gate(model)
    async with GqlClient(transport=over_websocket(server, user)) as session:
        assert text_of([event async for event in followed(session, run_id, cursor)]) == "second"


async def test_gql_uploads_a_file(
    server: ServerProcess, user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Thanks"))
    content = "Рим, 753".encode()
    file = FileVar(content, filename="notes.txt", content_type="text/plain")
    message = {"threadId": user.new_thread()["id"], "text": "Look", "model": model}
    async with GqlClient(transport=over_http(server, user)) as session:
        request = GraphQLRequest(
            SEND, variable_values={"input": {**message, "attachments": [{"file": file}]}}
        )
        sent = await session.execute(request, upload_files=True)
        found = await executed(session, ATTACHMENTS, id=sent["sendMessage"]["run"]["id"])
    assert found["run"]["userMessage"]["attachments"] == [
        {"filename": "notes.txt", "contentType": "text/plain", "sizeBytes": len(content)}
    ]
