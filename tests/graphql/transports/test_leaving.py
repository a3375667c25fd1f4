"""A source stops when its client leaves, even if it is always ready, and waits for a client that is slow."""

import json
import socket as sockets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.transports.lab import SOURCES, LabServer, wait_until_blocked
from tests.graphql.transports.wire import (
    EVENT_STREAM,
    MULTIPART,
    STREAM_TOKEN,
    event_stream,
    multipart,
    reserve,
    shared_stream,
    socket,
    start,
)

FIELDS = ["ticks", "loads", "silence"]


def subscription(field: str, name: str) -> str:
    return f'subscription {{ {field}(name: "{name}") }}'


def leave_an_event_stream(client: Client, query: str) -> None:
    with event_stream(client, query) as stream:
        stream.next()


def leave_a_multipart_stream(client: Client, query: str) -> None:
    with multipart(client, query) as parts:
        parts.next()


def leave_a_shared_stream(client: Client, query: str) -> None:
    with shared_stream(client) as stream:
        stream.start(query)
        stream.next()


def leave_a_socket(client: Client, query: str) -> None:
    with socket(client) as connection:
        connection.subscribe(query)
        connection.receive()


def lose_a_socket(client: Client, query: str) -> None:
    with socket(client) as connection:
        connection.subscribe(query)
        connection.receive()
        connection.connection.socket.shutdown(sockets.SHUT_RDWR)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "leave",
    [leave_an_event_stream, leave_a_multipart_stream, leave_a_shared_stream, leave_a_socket, lose_a_socket],
)
def test_a_source_stops_when_its_client_leaves(lab: LabServer, leave: object, field: str) -> None:
    assert callable(leave)
    name = unique(field)
    with lab.client() as client:
        leave(client, subscription(field, name))
        assert SOURCES.given[name] or field == "silence"
        assert SOURCES.wait_for_living(name, 0)
        assert client.post("/graphql", json={"query": "{ __typename }"}).status_code == 200


@contextmanager
def slow_reader(lab: LabServer, method: str, headers: dict[str, str], body: object = None) -> Iterator[None]:
    """A connection that sends a request, and reads nothing."""
    content = b"" if body is None else json.dumps(body).encode()
    sent = {
        "Host": "x",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    with sockets.create_connection(("127.0.0.1", lab.port)) as connection:
        connection.sendall(f"{method} /graphql HTTP/1.1\r\n{head}\r\n".encode() + content)
        yield


@contextmanager
def slow_on_a_stream(accept: str, lab: LabServer, client: Client, query: str) -> Iterator[None]:
    del client
    with slow_reader(lab, "POST", {"Accept": accept}, {"query": query}):
        yield


@contextmanager
def slow_on_a_shared_stream(_: str, lab: LabServer, client: Client, query: str) -> Iterator[None]:
    token = reserve(client)
    with slow_reader(lab, "GET", {"Accept": EVENT_STREAM, STREAM_TOKEN: token}):
        assert start(client, token, query).status_code == 202
        yield


@contextmanager
def slow_on_a_socket(_: str, lab: LabServer, client: Client, query: str) -> Iterator[None]:
    del lab
    with socket(client, compression=None, deaf=True) as connection:
        connection.subscribe(query)
        yield
        connection.connection.socket.shutdown(sockets.SHUT_RDWR)


@pytest.mark.parametrize(
    ("slow", "accept"),
    [
        (slow_on_a_stream, EVENT_STREAM),
        (slow_on_a_stream, MULTIPART),
        (slow_on_a_shared_stream, ""),
        (slow_on_a_socket, ""),
    ],
)
def test_a_source_waits_for_a_client_that_does_not_read(lab: LabServer, slow: object, accept: str) -> None:
    assert callable(slow)
    name = unique("slow")
    with lab.client() as client:
        with slow(accept, lab, client, subscription("loads", name)):
            assert SOURCES.wait_for_living(name, 1)
            wait_until_blocked(client, name)
        assert SOURCES.wait_for_living(name, 0)
