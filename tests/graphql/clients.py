"""A GraphQL client over HTTP and graphql-transport-ws, down to the frames."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.clients import Client


def graphql(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    """The whole answer to an operation."""
    response = client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def data(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    """The data of an operation that must not fail."""
    answer = graphql(client, query, **variables)
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]
    return found


def error_code(client: Client, query: str, **variables: Any) -> str:
    """The code of the one error of an operation."""
    (error,) = graphql(client, query, **variables)["errors"]
    code: str = error["extensions"]["code"]
    return code


class Subscription:
    """One subscription on a connection of its own."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def next(self) -> dict[str, Any] | None:
        """The payload of the next message; None when the subscription is complete."""
        message = json.loads(self._connection.recv(timeout=10))
        if message["type"] == "complete":
            return None
        assert message["type"] == "next", message
        payload: dict[str, Any] = message["payload"]
        return payload

    def error(self) -> dict[str, Any]:
        """The one error that ended the subscription before any event."""
        message = json.loads(self._connection.recv(timeout=10))
        assert message["type"] == "error", message
        error: dict[str, Any]
        (error,) = message["payload"]
        return error

    def events(self, field: str) -> Iterator[dict[str, Any]]:
        """The events until the subscription is complete."""
        while (payload := self.next()) is not None:
            assert not payload.get("errors"), payload
            yield payload["data"][field]


@contextmanager
def subscribed(client: Client, query: str, **variables: Any) -> Iterator[Subscription]:
    """A running subscription with the client's token; leaving the block hangs up."""
    url = str(client.base_url).replace("http", "ws", 1).rstrip("/") + "/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as connection:
        params = {"Authorization": client.headers["authorization"]}
        connection.send(json.dumps({"type": "connection_init", "payload": params}))
        assert json.loads(connection.recv(timeout=10))["type"] == "connection_ack"
        payload = {"query": query, "variables": variables}
        connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield Subscription(connection)
