"""graphql-transport-ws, by its PROTOCOL.md."""

import json

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.transports.lab import SOURCES, LabServer
from tests.graphql.transports.wire import THREADS, codes, socket

pytestmark = pytest.mark.usefixtures("no_faults")

INIT = {"type": "connection_init"}
TYPENAME = {"data": {"__typename": "Query"}}


def caught_up(message: dict[str, object], operation_id: str = "1") -> bool:
    return message.get("id") == operation_id and "ThreadsCaughtUp" in json.dumps(message)


# Shaking hands


@pytest.mark.parametrize(
    "subprotocols", [(), ("graphql-ws",), ("chat",), ("graphql-ws", "GRAPHQL-TRANSPORT-WS")]
)
def test_other_subprotocols_are_not_spoken(user: Client, subprotocols: tuple[str, ...]) -> None:
    with socket(user, init=False, subprotocols=subprotocols) as connection:
        assert connection.connection.subprotocol is None
        code, reason = connection.closed()
    assert (code, "graphql-transport-ws" in reason) == (4406, True)


def test_of_several_subprotocols_ours_is_chosen(user: Client) -> None:
    with socket(user, subprotocols=("graphql-ws", "graphql-transport-ws")) as connection:
        assert connection.connection.subprotocol == "graphql-transport-ws"


def test_who_says_nothing_is_closed_in_time(lab: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphql_schema.transports.websocket.INIT_SECONDS", 0.2)
    with lab.client() as client:
        with socket(client, init=False) as connection:
            assert connection.closed() == (4408, "Connection initialisation timeout")
        with socket(client, init=False) as connection:
            for _ in range(5):
                connection.send({"type": "ping"})
            assert connection.closed()[0] == 4408


@pytest.mark.parametrize(
    "message",
    [
        {"id": "1", "type": "subscribe", "payload": {"query": "{ __typename }"}},
        {"id": "1", "type": "complete"},
    ],
)
def test_nothing_is_done_before_init(user: Client, message: object) -> None:
    with socket(user, init=False) as connection:
        connection.send(message)
        assert connection.closed()[0] == 4401


@pytest.mark.parametrize("token", ["Bearer x", "Bearer ", "bearer a.b.c", "Bearer " + "x" * 10_000])
def test_a_bad_token_is_forbidden_at_init(user: Client, token: str) -> None:
    with socket(user, init=False) as connection:
        connection.send({**INIT, "payload": {"Authorization": token}})
        code, reason = connection.closed()
    assert (code, "token" in reason) == (4403, True)


@pytest.mark.parametrize(
    "payload", [None, {}, {"token": "x"}, {"Authorization": None}, {"authorization": ["x"]}]
)
def test_without_a_token_a_socket_is_nobodys(user: Client, payload: object) -> None:
    with socket(user, init=False) as connection:
        connection.send({**INIT, "payload": payload})
        assert connection.receive() == {"type": "connection_ack"}
        connection.subscribe("{ viewer { user { id } } }")
        assert connection.receive()["payload"]["data"] == {"viewer": None}


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_the_token_may_be_in_the_payload_of_init(user: Client, account: str, name: str) -> None:
    with socket(user, init=False) as connection:
        connection.send({**INIT, "payload": {name: user.headers["authorization"]}})
        assert connection.receive() == {"type": "connection_ack"}
        connection.subscribe("{ viewer { user { username } } }")
        assert connection.receive()["payload"]["data"] == {"viewer": {"user": {"username": account}}}


def test_a_second_init_is_one_too_many(user: Client) -> None:
    with socket(user) as connection:
        connection.send(INIT)
        assert connection.closed() == (4429, "Too many initialisation requests")
    with socket(user, init=False) as connection:
        connection.send(INIT)
        connection.send(INIT)
        assert connection.closed()[0] == 4429


# Pings


@pytest.mark.parametrize("init", [True, False])
def test_a_ping_is_answered_with_its_payload(user: Client, init: bool) -> None:  # noqa: FBT001
    with socket(user, init=init) as connection:
        for payload in ({"a": [1, None, "ü"]}, {}):
            connection.send({"type": "ping", "payload": payload})
            assert connection.receive() == {"type": "pong", "payload": payload}
        for ping in ({"type": "ping"}, {"type": "ping", "payload": None}):
            connection.send({"type": "pong", "payload": {"unasked": True}})
            connection.send(ping)
            assert connection.receive() == {"type": "pong"}


# Operations


def test_a_query_and_a_mutation_have_one_response_each(user: Client) -> None:
    with socket(user) as connection:
        connection.subscribe("{ __typename }", "a")
        first, end = connection.receive(), connection.receive()
        assert (first["id"], first["type"], first["payload"]["data"]) == ("a", "next", TYPENAME["data"])
        assert end == {"id": "a", "type": "complete"}

        mutation = "mutation ($title: String) { createThread(input: {title: $title}) { __typename } }"
        connection.subscribe(mutation, "a", title="Rome")
        assert connection.receive()["payload"]["data"]["createThread"] == {
            "__typename": "CreateThreadSuccess"
        }
        assert connection.receive() == {"id": "a", "type": "complete"}


def test_the_operation_that_is_named_is_executed(user: Client) -> None:
    query = "query A { a: __typename } query B { b: __typename }"
    with socket(user) as connection:
        payload = {"query": query, "operationName": "B", "variables": None, "extensions": None}
        connection.send({"id": "1", "type": "subscribe", "payload": payload})
        assert connection.receive()["payload"]["data"] == {"b": "Query"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ unheard }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: UUID!) { thread(id: $id) { id } }", "BAD_USER_INPUT"),
        ("query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
        ('subscription { threadsChanged(after: "x") { __typename } }', "BAD_USER_INPUT"),
        ("subscription { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { threadsChanged @skip(if: true) { __typename } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription { a: threadsChanged { __typename } b: threadsChanged { __typename } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ],
)
def test_an_operation_that_cannot_begin_ends_by_an_error(user: Client, query: str, code: str) -> None:
    with socket(user) as connection:
        connection.subscribe(query, "a", unused=1)
        message = connection.receive()
        assert (message["id"], message["type"]) == ("a", "error")
        assert codes({"errors": message["payload"]}) == [code]
        # It is over: nothing follows, and the id is free.
        connection.subscribe("{ __typename }", "a")
        assert connection.receive()["type"] == "next"


def test_an_error_of_execution_is_in_the_response(user: Client) -> None:
    with socket(user) as connection:
        connection.subscribe("{ threads(first: 0) { nodes { id } } }")
        message = connection.receive()
        assert (message["type"], message["payload"]["data"]) == ("next", None)
        assert codes(message["payload"]) == ["BAD_USER_INPUT"]
        assert connection.receive()["type"] == "complete"


def test_an_id_that_is_in_use_closes_the_socket(user: Client) -> None:
    for second in (THREADS, "{ __typename }"):
        with socket(user) as connection:
            connection.subscribe(THREADS, "same")
            connection.subscribe(second, "same")
            assert connection.closed() == (4409, "Subscriber for same already exists")


def test_operations_of_several_ids_go_on_at_once(user: Client) -> None:
    with socket(user) as connection:
        for operation_id in "abc":
            connection.subscribe(THREADS, operation_id)
        begun = [connection.receive() for _ in range(3)]
        assert {message["id"] for message in begun} == {"a", "b", "c"}
        connection.subscribe("{ __typename }", "d")
        assert [connection.receive()["id"] for _ in range(2)] == ["d", "d"]


def test_complete_stops_the_source_and_frees_the_id(lab: LabServer) -> None:
    with lab.client() as client, socket(client) as connection:
        for field in ("silence", "ticks"):
            name = unique(field)
            for _ in range(2):
                connection.subscribe(f'subscription {{ {field}(name: "{name}") }}')
                assert SOURCES.wait_for_living(name, 1)
                while connection.receive()["payload"]["data"][field] < 1:
                    pass
                connection.send({"id": "1", "type": "complete"})
                assert SOURCES.wait_for_living(name, 0)
            connection.send({"type": "ping", "payload": {"mark": name}})
            while connection.receive().get("payload") != {"mark": name}:
                pass  # what was under way when the client stopped it


def test_complete_stops_a_query_whose_result_is_then_not_sent(lab: LabServer) -> None:
    with lab.client() as client, socket(client) as connection:
        name = unique("query")
        connection.subscribe(f'{{ forever(name: "{name}") }}')
        assert SOURCES.wait_for_living(name, 1)
        connection.send({"id": "1", "type": "complete"})
        assert SOURCES.wait_for_living(name, 0)
        connection.send({"type": "ping"})
        assert connection.receive() == {"type": "pong"}


def test_a_complete_that_comes_late_is_ignored(user: Client) -> None:
    with socket(user) as connection:
        connection.send({"id": "never begun", "type": "complete"})
        connection.subscribe("{ __typename }")
        assert [connection.receive()["type"] for _ in range(2)] == ["next", "complete"]
        connection.send({"id": "1", "type": "complete"})
        connection.send({"type": "ping"})
        assert connection.receive() == {"type": "pong"}


def test_what_one_socket_does_another_hears(user: Client) -> None:
    with socket(user) as one, socket(user) as other:
        one.subscribe(THREADS)
        assert caught_up(one.receive())
        other.subscribe("mutation { createThread(input: {}) { __typename } }")
        assert "ThreadUpdated" in json.dumps(one.receive())
