"""Who may ask for the schema, and what errors give away of it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import build_client_schema, get_introspection_query

from tests.clients import Client
from tests.graphql.transports.wire import codes, post, socket
from tests.servers import ServerProcess

WHOLE = get_introspection_query(descriptions=False, input_value_deprecation=True)
QUESTIONS = [
    WHOLE,
    "{ __schema { types { name } } }",
    '{ __type(name: "User") { name } }',
    '{ a: __type(name: "User") { name } }',
    "{ ... on Query { ... F } } fragment F on Query { __schema { queryType { name } } }",
    "query A { __typename } query B { __schema { queryType { name } } }",
]
# What asks for names that are almost right.
MISSPELT: list[tuple[str, dict[str, Any]]] = [
    ("{ viewr { permissions } }", {}),
    ("{ viewer { user { usernam } } }", {}),
    ("query ($id: UUIDD) { thread(id: $id) { id } }", {}),
    ("{ node(id: 1) { ... on Threat { id } } }", {}),
    ("{ threads(frist: 1) { nodes { id } } }", {}),
    ("mutation { createThread(input: {titel: 1}) { __typename } }", {}),
    ("mutation ($i: CreateThreadInput!) { createThread(input: $i) { __typename } }", {"i": {"titel": "x"}}),
    ("mutation ($i: SendMessageInput!) { sendMessage(input: $i) { __typename } }", {"i": {"threadID": "x"}}),
    ("subscription { threadChanged { __typename } }", {}),
    ("subscription { runEvents(runID: 1) { __typename } }", {}),
]


def settings(policy: str, suggestions: str) -> dict[str, str]:
    return {"CHAT_GRAPHQL_INTROSPECTION": policy, "CHAT_GRAPHQL_SUGGESTIONS": suggestions}


@pytest.fixture(scope="module")
def users_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The first account of a server that shows its schema to users."""
    directory = tmp_path_factory.mktemp("users")
    server = ServerProcess(directory, "http://127.0.0.1:9", settings("users", "true"))
    with server, server.admin() as client:
        yield client


@pytest.fixture(scope="module")
def nobodys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The first account of a server that gives away nothing."""
    directory = tmp_path_factory.mktemp("nobody")
    server = ServerProcess(directory, "http://127.0.0.1:9", settings("nobody", "false"))
    with server, server.admin() as client:
        yield client


def without_token(client: Client) -> httpx.Client:
    return httpx.Client(base_url=client.base_url, timeout=30)


def test_everyone_may_ask_by_default(user: Client) -> None:
    with without_token(user) as stranger:
        schema = build_client_schema(post(stranger, {"query": WHOLE}).json()["data"])
    assert schema.query_type
    assert "threads" in schema.query_type.fields


@pytest.mark.parametrize("query", QUESTIONS)
def test_only_users_may_ask_where_that_is_set(users_only: Client, query: str) -> None:
    body = {"query": query, "operationName": "B" if "query B" in query else None}
    assert "errors" not in post(users_only, body).json()
    with without_token(users_only) as stranger:
        for headers in ({}, {"authorization": "Bearer x"}):
            answer = post(stranger, body, **headers).json()
            assert (codes(answer), "data" in answer) == (["INTROSPECTION_NOT_ALLOWED"], False)


@pytest.mark.parametrize("query", QUESTIONS)
def test_nobody_may_ask_where_that_is_set(nobodys: Client, query: str) -> None:
    body = {"query": query, "operationName": "B" if "query B" in query else None}
    assert codes(post(nobodys, body).json()) == ["INTROSPECTION_NOT_ALLOWED"]
    assert codes(nobodys.get("/graphql", params={"query": query}).json()) == ["INTROSPECTION_NOT_ALLOWED"]
    (answer,) = post(nobodys, [body]).json()
    assert codes(answer) == ["INTROSPECTION_NOT_ALLOWED"]
    with socket(nobodys) as connection:
        connection.send({"id": "1", "type": "subscribe", "payload": body})
        assert codes({"errors": connection.receive()["payload"]}) == ["INTROSPECTION_NOT_ALLOWED"]


def test_the_type_of_an_object_is_no_secret(nobodys: Client) -> None:
    query = "{ __typename viewer { __typename } }"
    assert post(nobodys, {"query": query}).json()["data"] == {
        "__typename": "Query",
        "viewer": {"__typename": "Viewer"},
    }


@pytest.mark.parametrize(("query", "variables"), MISSPELT)
def test_a_name_that_was_meant_is_suggested_unless_that_is_off(
    user: Client, nobodys: Client, query: str, variables: dict[str, Any]
) -> None:
    body = {"query": query, "variables": variables}
    accept = {"accept": "application/graphql-response+json"}
    suggesting, silent = post(user, body, **accept), post(nobodys, body, **accept)
    assert (suggesting.status_code, silent.status_code) == (400, 400)
    assert codes(suggesting.json())
    assert codes(silent.json())
    assert "Did you mean" in suggesting.text
    assert "Did you mean" not in silent.text


def test_no_suggestion_leaves_on_a_socket_either(nobodys: Client) -> None:
    with socket(nobodys) as connection:
        for query, variables in MISSPELT:
            connection.subscribe(query, **variables)
            message = connection.receive()
            assert codes({"errors": message["payload"]})
            assert "Did you mean" not in str(message)
