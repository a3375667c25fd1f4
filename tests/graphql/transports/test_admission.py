"""How many connections may be open, by user and by address, and how many operations on one of them."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import SHUT_RDWR

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.transports.lab import SOURCES, LabServer, wait_until_blocked
from tests.graphql.transports.wire import (
    EVENT_STREAM,
    MULTIPART,
    THREADS,
    codes,
    event_stream,
    multipart,
    refused,
    reserve,
    shared_stream,
    socket,
    start,
)
from tests.servers import PASSWORD, ServerProcess

PER_USER, PER_ADDRESS, OPERATIONS = 4, 6, 2

_close_codes = itertools.count(4901)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that allows little."""
    settings = {
        "CHAT_GRAPHQL_MAX_CONNECTIONS_PER_USER": str(PER_USER),
        "CHAT_GRAPHQL_MAX_CONNECTIONS_PER_ADDRESS": str(PER_ADDRESS),
        "CHAT_GRAPHQL_MAX_SUBSCRIPTIONS": str(OPERATIONS),
    }
    with ServerProcess(tmp_path_factory.mktemp("server"), "http://127.0.0.1:9", settings) as process:
        yield process


@pytest.fixture(scope="module")
def admin(server: ServerProcess) -> Iterator[Client]:
    with server.admin() as client:
        yield client


@pytest.fixture
def users(server: ServerProcess, admin: Client) -> Iterator[list[Client]]:
    """Two users of their own."""
    with ExitStack() as clients:
        made = []
        for name in (unique("one"), unique("two")):
            body = {"username": name, "password": PASSWORD}
            assert admin.post("/api/auth/register", json=body).status_code == 201
            made.append(clients.enter_context(server.client().sign_in(name, PASSWORD)))
        yield made


class Doors:
    """Opens connections of each kind, and closes them so that the server is known to have noticed."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._open: list[tuple[ExitStack, dict[str, object]]] = []

    def open_stream(self, client: Client) -> None:
        stack = ExitStack()
        self._keep(stack, stack.enter_context(event_stream(client, THREADS)).response)

    def open_multipart(self, client: Client) -> None:
        stack = ExitStack()
        self._keep(stack, stack.enter_context(multipart(client, THREADS)).response)

    def open_shared(self, client: Client, token: str | None = None) -> None:
        stack = ExitStack()
        self._keep(stack, stack.enter_context(shared_stream(client, token)).stream.response)

    def open_socket(self, client: Client) -> None:
        stack = ExitStack()
        connection = stack.enter_context(socket(client)).connection
        code = next(_close_codes)
        stack.callback(connection.close, code)
        self._open.append((stack, {"event": "websocket closed", "code": code}))

    def close_one(self) -> None:
        stack, logged = self._open.pop()
        stack.close()
        # Written when the place is free again.
        self._server.wait_for_log(**logged)

    def close(self) -> None:
        while self._open:
            self.close_one()

    def _keep(self, stack: ExitStack, response: httpx.Response) -> None:
        logged: dict[str, object] = {"event": "request", "request_id": response.headers["x-request-id"]}
        self._open.append((stack, logged))


@pytest.fixture
def doors(server: ServerProcess) -> Iterator[Doors]:
    opened = Doors(server)
    yield opened
    opened.close()


def open_kinds(doors: Doors) -> list[Callable[[Client], None]]:
    return [doors.open_stream, doors.open_multipart, doors.open_shared, doors.open_socket]


def assert_full(client: Client) -> None:
    """No kind of connection is given to this client."""
    for accept in (EVENT_STREAM, MULTIPART):
        response = client.post("/graphql", json={"query": THREADS}, headers={"Accept": accept})
        assert refused(response, 429) == "TOO_MANY_CONNECTIONS"
        assert response.headers["retry-after"] == "5"
    assert refused(client.put("/graphql"), 429) == "TOO_MANY_CONNECTIONS"
    with socket(client, init=False) as connection:
        payload = {"Authorization": client.headers["authorization"]}
        with suppress(ConnectionClosed):  # where the address has too many, nothing is waited for
            connection.send({"type": "connection_init", "payload": payload})
        code, reason = connection.closed()
    assert (code, "Too many" in reason) == (1013, True)


def test_one_user_has_so_many_connections_of_all_kinds(doors: Doors, users: list[Client]) -> None:
    one, two = users
    for open_kind in open_kinds(doors):
        open_kind(one)
    assert_full(one)
    # What needs no connection of its own goes on; and another user has a place.
    assert one.post("/graphql", json={"query": "{ __typename }"}).status_code == 200
    doors.open_stream(two)


@pytest.mark.parametrize("kind", range(4))
def test_a_place_is_free_when_its_connection_is_closed(doors: Doors, users: list[Client], kind: int) -> None:
    one, _ = users
    open_kind = open_kinds(doors)[kind]
    for _ in range(PER_USER):
        open_kind(one)
    for _ in range(3):
        assert_full(one)
        doors.close_one()
        open_kind(one)


def test_one_address_has_so_many_connections(doors: Doors, users: list[Client]) -> None:
    one, two = users
    for client in (one, one, one, one, two, two):
        doors.open_stream(client)
    assert_full(two)
    doors.close_one()
    doors.open_socket(two)
    assert_full(two)


def test_sockets_that_do_not_sign_in_count_for_their_address(
    doors: Doors, users: list[Client], server: ServerProcess
) -> None:
    with ExitStack() as waiting:
        for _ in range(PER_ADDRESS):
            waiting.enter_context(socket(users[0], init=False)).connection.ping().wait(10)
        assert_full(users[0])
        before = len(closed_sockets(server))
    while len(closed_sockets(server)) < before + PER_ADDRESS:
        server.wait_for_log(event="websocket closed")
    doors.open_socket(users[0])


def closed_sockets(server: ServerProcess) -> list[object]:
    return [line for line in server.log_lines() if line["event"] == "websocket closed"]


def test_what_is_refused_takes_no_place(doors: Doors, users: list[Client]) -> None:
    one, _ = users
    bad = 'subscription { threadsChanged(after: "x") { __typename } }'
    for _ in range(2 * PER_ADDRESS):
        for accept in (EVENT_STREAM, MULTIPART):
            assert one.post("/graphql", json={"query": bad}, headers={"Accept": accept}).status_code == 200
        with socket(one, init=False, subprotocols=("graphql-ws",)) as connection:
            assert connection.closed()[0] == 4406
    for _ in range(PER_USER):
        doors.open_stream(one)


def test_a_reservation_is_a_place(doors: Doors, users: list[Client]) -> None:
    one, _ = users
    tokens = [reserve(one) for _ in range(PER_USER)]
    assert_full(one)
    assert start(one, tokens[0], "{ __typename }").status_code == 202
    for token in tokens:
        doors.open_shared(one, token)
    assert_full(one)
    doors.close_one()
    doors.open_stream(one)


@pytest.mark.parametrize(("trusted", "other"), [("127.0.0.0/8, ::1", 201), ("10.0.0.0/8", 429)])
def test_a_trusted_proxy_says_whose_address_counts(tmp_path: Path, trusted: str, other: int) -> None:
    settings = {"CHAT_GRAPHQL_MAX_CONNECTIONS_PER_ADDRESS": "1", "CHAT_TRUSTED_PROXIES": trusted}
    with ServerProcess(tmp_path, "http://127.0.0.1:9", settings) as server, server.client() as proxy:
        asked = [proxy.put("/graphql", headers={"X-Forwarded-For": f"192.0.2.{each}"}) for each in (1, 2, 2)]
    assert [answer.status_code for answer in asked] == [201, other, 429]


# Operations on one connection


def test_one_socket_has_so_many_operations(users: list[Client]) -> None:
    with socket(users[0]) as connection:
        for number in range(OPERATIONS):
            connection.subscribe(THREADS, f"{number}")
            assert connection.receive()["type"] == "next"
        for query in (THREADS, "{ __typename }"):
            connection.subscribe(query, "more")
            message = connection.receive()
            assert (message["id"], message["type"]) == ("more", "error")
            assert codes({"errors": message["payload"]}) == ["TOO_MANY_OPERATIONS"]

        connection.send({"id": "0", "type": "complete"})
        connection.subscribe("{ __typename }", "more")
        assert [connection.receive()["type"] for _ in range(2)] == ["next", "complete"]
        connection.subscribe(THREADS, "0")
        assert connection.receive()["type"] == "next"


def test_one_shared_stream_has_so_many_operations(users: list[Client]) -> None:
    with shared_stream(users[0]) as stream:
        for number in range(OPERATIONS):
            assert stream.start(THREADS, f"{number}").status_code == 202
        assert refused(stream.start("{ __typename }", "more"), 429) == "TOO_MANY_OPERATIONS"
        assert stream.stop("0").status_code == 200
        assert stream.start("{ __typename }", "more").status_code == 202


# Clients that do not read


def test_a_socket_whose_client_does_not_hear_of_its_end_keeps_its_place(tmp_path: Path) -> None:
    name = unique("deaf")
    with LabServer(tmp_path, graphql_max_connections_per_address=1) as lab, lab.client() as client:
        with socket(client, compression=None, deaf=True) as connection:
            connection.subscribe(f'subscription {{ loads(name: "{name}") }}')
            assert SOURCES.wait_for_living(name, 1)
            wait_until_blocked(client, name)
            connection.send("no JSON")
            assert SOURCES.wait_for_living(name, 0)
            assert refused(client.put("/graphql"), 429) == "TOO_MANY_CONNECTIONS"
            connection.connection.socket.shutdown(SHUT_RDWR)
        while client.put("/graphql").status_code == 429:
            pass  # until the server has noticed


def test_nobody_leaves_the_places_of_an_address_to_those_who_sign_in(tmp_path: Path) -> None:
    with LabServer(tmp_path, graphql_max_connections_per_address=8) as lab, lab.client() as nobody:
        statuses = [nobody.put("/graphql").status_code for _ in range(8)]
    assert statuses == [201] * 2 + [429] * 6
