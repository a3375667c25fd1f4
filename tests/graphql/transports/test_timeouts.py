"""An operation that takes too long ends, with an error of its own, on every transport."""

from collections.abc import Iterator

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.transports.lab import SOURCES, LabServer
from tests.graphql.transports.wire import codes, event_stream, multipart, post, shared_stream, socket


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        LabServer(tmp_path_factory.mktemp("lab"), graphql_timeout_seconds=0.2) as lab,
        lab.client() as client,
    ):
        yield client


@pytest.fixture
def name() -> str:
    return unique("late")


@pytest.fixture
def query(name: str) -> Iterator[str]:
    """What never ends by itself; it must have ended when the test does."""
    yield f'{{ forever(name: "{name}") }}'
    assert SOURCES.wait_for_living(name, 0)


def late(answer: dict[str, object]) -> bool:
    """Whether the answer says so, with its cost, and without any data."""
    assert answer["data"] is None
    assert answer["extensions"]
    (code,) = codes(answer)
    return code == "TIMEOUT"


def test_a_late_operation_over_http(client: Client, query: str) -> None:
    response = post(client, {"query": query}, accept="application/graphql-response+json")
    assert response.status_code == 200
    assert late(response.json())
    assert "0.2 seconds" in response.text
    assert late(client.get("/graphql", params={"query": query}).json())


def test_a_late_operation_of_a_batch_holds_up_no_other(client: Client, query: str) -> None:
    first, second = post(client, [{"query": query}, {"query": "{ __typename }"}]).json()
    assert late(first)
    assert second["data"] == {"__typename": "Query"}


def test_a_late_operation_on_a_socket(client: Client, query: str) -> None:
    with socket(client) as connection:
        connection.subscribe(query)
        assert late(connection.receive()["payload"])
        assert connection.receive() == {"id": "1", "type": "complete"}


def test_a_late_operation_on_streams(client: Client, query: str) -> None:
    with event_stream(client, query) as stream:
        assert late(stream.next().data)
    with multipart(client, query) as parts:
        assert late(parts.next()["payload"])
    with shared_stream(client) as shared:
        shared.start(query)
        assert late(shared.next().data["payload"])


def test_a_subscription_may_take_as_long_as_it_likes(client: Client, name: str, query: str) -> None:
    with event_stream(client, f'subscription {{ silence(name: "{name}") }}') as stream:
        stream.next()
        # Another operation is late meanwhile.
        assert late(post(client, {"query": query}).json())
        assert SOURCES.living[name] == 1
