"""Sockets and tokens: a socket may outlive the token that it was opened with, and opens nothing then."""

import json

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.clients import Client
from tests.servers import ServerProcess


def ask(connection: ClientConnection, number: int, query: str) -> dict[str, object]:
    """The payload of one operation's answer."""
    connection.send(json.dumps({"id": str(number), "type": "subscribe", "payload": {"query": query}}))
    while True:
        message = json.loads(connection.recv(timeout=10))
        if message["type"] in ("next", "error") and message["id"] == str(number):
            payload: dict[str, object] = message["payload"]
            return payload


def test_after_a_logout_an_open_socket_is_nobodys(server: ServerProcess, user: Client) -> None:
    url = server.url.replace("http", "ws", 1) + "/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as connection:
        params = {"Authorization": user.headers["authorization"]}
        connection.send(json.dumps({"type": "connection_init", "payload": params}))
        assert json.loads(connection.recv(timeout=10))["type"] == "connection_ack"
        assert "errors" not in ask(connection, 1, "{ me { id } }")

        assert user.post("/api/auth/logout").status_code == 204

        assert "UNAUTHENTICATED" in json.dumps(ask(connection, 2, "{ me { id } }"))
        assert "UNAUTHENTICATED" in json.dumps(ask(connection, 3, "mutation { createThread { id } }"))
