"""When the database fails, clients are told in the terms of their transport, and nothing of what failed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NoReturn
from uuid import uuid4

import jwt
import pytest
from sqlalchemy.exc import DatabaseError, OperationalError

from tests.clients import Client
from tests.graphql.transports.lab import HUSH, LabServer
from tests.graphql.transports.wire import (
    EVENT_STREAM,
    MULTIPART,
    STREAM_TOKEN,
    Socket,
    refused,
    reserve,
    socket,
)
from tests.servers import SECRET

QUERY = {"query": "{ __typename }"}


@pytest.fixture
def client(lab: LabServer) -> Iterator[Client]:
    """A client whose token is good, if only somebody could look its user up."""
    now = datetime.now(UTC)
    claims = {
        "sub": str(uuid4()),
        "type": "access",
        "iss": "gwp-chat",
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(minutes=5),
        "token_version": 0,
    }
    with lab.client() as client:
        yield client.use(jwt.encode(claims, SECRET))


@pytest.fixture
def unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database cannot be reached."""
    fail_with(monkeypatch, OperationalError(HUSH, {}, Exception(HUSH)))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database answers what it never should."""
    fail_with(monkeypatch, DatabaseError(HUSH, {}, Exception(HUSH)))


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def read(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr("core.db.session.Database._read", read)


def refusals(client: Client, status: int) -> set[str]:
    """The codes of every kind of HTTP request."""
    token = {STREAM_TOKEN: "x"}
    responses = [
        client.post("/graphql", json=QUERY),
        client.post("/graphql", json=[QUERY]),
        client.get("/graphql", params=QUERY),
        client.post("/graphql", json=QUERY, headers={"Accept": EVENT_STREAM}),
        client.post("/graphql", json=QUERY, headers={"Accept": MULTIPART}),
        client.put("/graphql"),
        client.get("/graphql", headers=token),
        client.post("/graphql", json=QUERY, headers=token),
        client.delete("/graphql", headers=token),
    ]
    assert not any(HUSH in response.text for response in responses)
    return {refused(response, status) for response in responses}


def initialise(connection: Socket, client: Client) -> None:
    payload = {"Authorization": client.headers["authorization"]}
    connection.send({"type": "connection_init", "payload": payload})


@pytest.mark.usefixtures("unavailable")
def test_a_database_that_is_out_of_reach_is_503(client: Client) -> None:
    assert refusals(client, 503) == {"DATABASE_UNAVAILABLE"}
    assert client.post("/graphql", json=QUERY).headers["retry-after"] == "5"


@pytest.mark.usefixtures("broken")
def test_a_database_that_fails_otherwise_is_500(client: Client) -> None:
    assert refusals(client, 500) == {"INTERNAL"}


@pytest.mark.usefixtures("unavailable")
def test_a_socket_is_told_to_come_again(client: Client) -> None:
    with socket(client, init=False) as connection:
        initialise(connection, client)
        assert connection.closed() == (1013, "The database is not available; try again")


@pytest.mark.usefixtures("broken")
def test_a_socket_is_told_of_an_internal_error(client: Client) -> None:
    with socket(client, init=False) as connection:
        initialise(connection, client)
        assert connection.closed() == (1011, "Internal error")


@pytest.mark.usefixtures("unavailable")
def test_who_has_no_token_needs_no_database(lab: LabServer) -> None:
    with lab.client() as stranger:
        assert stranger.post("/graphql", json=QUERY).json()["data"] == {"__typename": "Query"}
        assert reserve(stranger)
        with socket(stranger) as connection:
            connection.subscribe("{ __typename }")
            assert connection.receive()["type"] == "next"
