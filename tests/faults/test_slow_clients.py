"""Clients that dribble, or say nothing: they are let go, and hold up nobody."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from api.server import LARGEST_WEBSOCKET_MESSAGE
from tests.clients import Client
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.runs.following import following, start, text_of
from tests.servers import ServerProcess

HEAD_SECONDS = 1.5
BODY_SECONDS = 2
PAUSE = 0.1
MOST_PAUSES = 300
PATIENCE = 30.0
CROWD = 200

HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n"
UPGRADE = b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
LOGIN = json.dumps({"username": "x", "password": "y"}).encode()


@pytest.fixture(scope="module")
def hasty(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with little patience."""
    settings = {
        "CHAT_HEADER_TIMEOUT_SECONDS": str(HEAD_SECONDS),
        "CHAT_BODY_TIMEOUT_SECONDS": str(BODY_SECONDS),
        "CHAT_HEARTBEAT_SECONDS": "1",
    }
    with ServerProcess(tmp_path_factory.mktemp("hasty"), f"{provider.base_url}/v1", settings) as server:
        yield server


@pytest.fixture
def connection(hasty: ServerProcess) -> Iterator[socket.socket]:
    with connected(hasty) as connection:
        yield connection


def connected(server: ServerProcess) -> socket.socket:
    url = httpx.URL(server.url)
    return socket.create_connection((url.host, url.port or 80), timeout=PATIENCE)


def post(path: str, framing: str) -> bytes:
    """The head of a POST of JSON."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode()


def speaks(connection: socket.socket, seconds: float) -> bool:
    """Whether the server says something, or hangs up, within this time."""
    return bool(select.select([connection], [], [], seconds)[0])


def hear(connection: socket.socket, last: bytes | None = None) -> bytes:
    """What the server says up to these words, or until it hangs up."""
    said = b""
    while last is None or last not in said:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:  # for what was sent after it had hung up
            piece = b""
        if not piece:
            break
        said += piece
    return said


def dribble(connection: socket.socket, piece: bytes) -> bytes:
    """What the server says until it hangs up on a client that sends this piece again and again."""
    for _ in range(MOST_PAUSES):
        if speaks(connection, PAUSE):
            return hear(connection)
        connection.sendall(piece)
    raise AssertionError("the server is still listening")


def assert_refused(said: bytes, words: str) -> None:
    """It is one whole 408 that says what was too slow."""
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.split(b"\r\n")
    told = json.loads(body)
    if "errors" in told:
        (error,) = told["errors"]
        assert error["extensions"]["code"] == "BODY_TOO_SLOW"
        assert words in error["message"]
    else:
        assert words in told["detail"]


def test_a_client_that_says_nothing_is_let_go(connection: socket.socket) -> None:
    assert hear(connection) == b""


@pytest.mark.parametrize("beginning", [HEALTH, UPGRADE], ids=["request", "upgrade"])
def test_a_head_that_dribbles_is_cut(connection: socket.socket, beginning: bytes) -> None:
    connection.sendall(beginning)
    assert_refused(dribble(connection, b"X"), "head")


def test_a_head_that_stops_is_cut(connection: socket.socket) -> None:
    connection.sendall(b"G")
    assert_refused(hear(connection), "head")


def test_a_later_head_on_the_same_connection_is_cut_as_well(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(HEALTH + b"\r\n")
        assert hear(connection, b"}").startswith(b"HTTP/1.1 200 ")
    connection.sendall(HEALTH)
    assert_refused(dribble(connection, b"X"), "head")


def test_a_client_that_dribbles_empty_lines_is_let_go(connection: socket.socket) -> None:
    assert dribble(connection, b"\r\n") == b""


def test_an_upgrade_that_is_not_one_cannot_keep_its_connection(connection: socket.socket) -> None:
    connection.sendall(UPGRADE + b"Content-Length: 100000\r\n\r\n")
    assert hear(connection).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_nobody_reads_cannot_keep_its_connection(connection: socket.socket) -> None:
    connection.sendall(post("/nowhere", "Content-Length: 100000"))
    assert hear(connection, b"}").startswith(b"HTTP/1.1 404 ")
    assert dribble(connection, b"x") == b""


@pytest.mark.parametrize("path", ["/api/auth/login", "/graphql"])
def test_a_body_that_stops_is_cut(connection: socket.socket, path: str) -> None:
    connection.sendall(post(path, "Content-Length: 100") + b"{")
    assert_refused(hear(connection), f"longer than {BODY_SECONDS} seconds")


@pytest.mark.parametrize(
    ("path", "framing", "piece"),
    [
        ("/api/auth/login", "Content-Length: 100000", b" "),
        ("/graphql", "Transfer-Encoding: chunked", b"1\r\n \r\n"),
    ],
)
def test_a_body_that_dribbles_is_cut(
    connection: socket.socket, path: str, framing: str, piece: bytes
) -> None:
    connection.sendall(post(path, framing))
    assert_refused(dribble(connection, piece), "too slowly")


def test_a_body_that_takes_long_but_moves_on_is_read(connection: socket.socket) -> None:
    pieces, piece = int(BODY_SECONDS / 0.2) + 3, b" " * 20_000
    connection.sendall(post("/api/auth/login", f"Content-Length: {pieces * len(piece) + len(LOGIN)}"))
    for _ in range(pieces):
        connection.sendall(piece)
        assert not speaks(connection, 0.2)
    connection.sendall(LOGIN)
    assert hear(connection, b"}").startswith(b"HTTP/1.1 401 ")


def test_a_stream_and_a_socket_outlast_the_deadlines_of_requests(
    hasty: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream(WaitFor(model), "At last"))
    with hasty.admin() as client, websocket(client) as idle:
        run_id = start(client, client.new_thread()["id"], model=model)
        with following(client, run_id) as frames, connected(hasty) as connection:
            connection.sendall(post("/api/auth/login", "Content-Length: 100"))
            assert_refused(hear(connection), "too slowly")  # so both deadlines are over
            provider.open_gate(model)
            assert text_of(frames) == "At last"
        assert say(idle, {"type": "ping"})["type"] == "pong"


def test_a_crowd_that_dribbles_holds_up_nobody(server: ServerProcess) -> None:
    body = "Content-Length: 100"
    beginnings = [b"", HEALTH, UPGRADE, post("/api/auth/login", body), post("/graphql", body)]
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(server)) for _ in range(CROWD)]
        for number, member in enumerate(crowd):
            member.sendall(beginnings[number % len(beginnings)])
        client = stack.enter_context(server.client())
        assert client.get("/health/ready").status_code == 200
        assert client.post("/api/auth/login", content=LOGIN).status_code == 401
        assert not select.select(crowd, [], [], 0)[0]


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_websocket_message_beyond_the_limit_ends_with_1009(user: Client, compression: str | None) -> None:
    with (
        websocket(user, compression) as connection,
        pytest.raises(ConnectionClosedError) as closed,
    ):
        say(connection, "x" * LARGEST_WEBSOCKET_MESSAGE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@contextmanager
def websocket(client: Client, compression: str | None = "deflate") -> Iterator[ClientConnection]:
    """A GraphQL socket that is signed in."""
    with connect(
        str(client.base_url.copy_with(scheme="ws", path="/graphql")),
        subprotocols=[Subprotocol("graphql-transport-ws")],
        compression=compression,
    ) as connection:
        begin = {"type": "connection_init", "payload": {"Authorization": client.headers["Authorization"]}}
        assert say(connection, begin)["type"] == "connection_ack"
        yield connection


def say(connection: ClientConnection, message: object) -> dict[str, object]:
    """What the server says to this message."""
    connection.send(json.dumps(message))
    reply: dict[str, object] = json.loads(connection.recv(timeout=PATIENCE))
    return reply


def test_a_head_without_end_is_refused_long_before_its_deadline(server: ServerProcess) -> None:
    with connected(server) as connection:
        connection.sendall(HEALTH)
        line = b"X-Filler: %s\r\n" % (b"x" * 8000)
        try:
            for _ in range(100):
                connection.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has hung up already
        assert b" 431 " in hear(connection).split(b"\r\n", 1)[0]
