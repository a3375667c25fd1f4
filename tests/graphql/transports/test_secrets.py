"""What went wrong inside never leaves; and what users keep secret never gets into the log."""

import json
from collections.abc import Iterator

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.clients import data, graphql
from tests.graphql.transports.lab import HUSH, LabServer
from tests.graphql.transports.wire import (
    codes,
    event_stream,
    multipart,
    post,
    shared_stream,
    socket,
)
from tests.servers import ServerProcess

QUERY = "{ broken }"
MUTATION = 'mutation { broken(password: "x") }'
BREAKS = "subscription { breaks(after: 2) }"
REFUSED = "subscription { refused }"


@pytest.fixture(scope="module")
def client(lab: LabServer) -> Iterator[Client]:
    with lab.client() as client:
        yield client


def internal(answer: dict[str, object]) -> bool:
    """Whether the answer says that something went wrong, and nothing of what."""
    assert HUSH not in json.dumps(answer)
    assert "RuntimeError" not in json.dumps(answer)
    return codes(answer) == ["INTERNAL"]


@pytest.mark.parametrize("query", [QUERY, MUTATION])
def test_exceptions_of_fields_do_not_leave(client: Client, query: str) -> None:
    response = post(client, {"query": query}, accept="application/graphql-response+json")
    assert response.status_code == 200
    assert internal(response.json())
    (answer,) = post(client, [{"query": query}]).json()
    assert internal(answer)
    with event_stream(client, query) as stream:
        assert internal(stream.next().data)
    with multipart(client, query) as parts:
        assert internal(parts.next()["payload"])
    with shared_stream(client) as shared:
        shared.start(query)
        assert internal(shared.next().data["payload"])
    with socket(client) as connection:
        connection.subscribe(query)
        assert internal(connection.receive()["payload"])
    if query == QUERY:
        assert internal(client.get("/graphql", params={"query": query}).json())


def test_exceptions_of_sources_do_not_leave(client: Client) -> None:
    with event_stream(client, BREAKS) as stream:
        *events, failed, end = stream
        assert [frame.data["data"] for frame in events] == [{"breaks": 0}, {"breaks": 1}]
        assert internal(failed.data)
        assert end.event == "complete"
    with multipart(client, BREAKS) as parts:
        *_, last = [part for part in parts if part]
        assert internal(last["payload"])
    with shared_stream(client) as shared:
        shared.start(BREAKS)
        frames = [shared.next() for _ in range(4)]
        assert internal(frames[2].data["payload"])
        assert frames[3].event == "complete"
    with socket(client) as connection:
        connection.subscribe(BREAKS)
        messages = [connection.receive() for _ in range(4)]
        assert internal(messages[2]["payload"])
        assert messages[3]["type"] == "complete"


def test_exceptions_of_what_cannot_begin_do_not_leave(client: Client) -> None:
    for query in (REFUSED, "subscription { breaks }"):
        with event_stream(client, query) as stream:
            assert internal(stream.next().data)
        with multipart(client, query) as parts:
            assert internal(parts.next()["payload"])
        with shared_stream(client) as shared:
            shared.start(query)
            assert internal(shared.next().data["payload"])
        with socket(client) as connection:
            connection.subscribe(query)
            payload = connection.receive()["payload"]
            assert internal(payload if isinstance(payload, dict) else {"errors": payload})


LOGIN = "mutation ($i: LoginInput!) { login(input: $i) { __typename } }"
REGISTER = "mutation ($i: RegisterInput!) { register(input: $i) { __typename } }"
CREATE_USER = "mutation ($i: CreateUserInput!) { createUser(input: $i) { __typename } }"
REFRESH = "mutation ($i: RefreshInput!) { refresh(input: $i) { __typename } }"


def test_passwords_and_tokens_do_not_get_into_the_log(
    server: ServerProcess, user: Client, admin: Client
) -> None:
    secret = unique("hush")
    name = unique("account")
    account = {"username": name, "password": secret}
    assert data(admin, CREATE_USER, i=account) == {"createUser": {"__typename": "CreateUserSuccess"}}
    for client in (user, admin):
        data(client, LOGIN, i=account)
        data(client, LOGIN, i={"username": name, "password": f"{secret}\u0000"})
        data(client, REGISTER, i=account)
        data(client, REFRESH, i={"refreshToken": secret})
        for wrong in ({"password": [secret]}, {"password": secret, "extra": secret}, {"username": secret}):
            graphql(client, LOGIN, i=wrong)
        post(client, {"query": f'mutation {{ login(input: {{password: "{secret}" }}) {{ __typename }} }}'})
        post(client, f'{{"query": "{secret}')
        post(client, {"query": "{ __typename }"}, authorization=f"Bearer {secret}")
        client.get("/graphql", params={"query": "{ __typename }", "variables": f'{{"a": "{secret}"}}'})
        client.get("/graphql", params={"token": secret})
        with socket(client, init=False) as connection:
            connection.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {secret}"}})
            assert connection.closed()[0] == 4403
        with socket(client, params=f"token={secret}") as connection:
            connection.subscribe(LOGIN, i=account)
            assert connection.receive()["type"] == "next"

    assert secret not in server.log_file.read_text(encoding="utf-8")
    server.wait_for_log(event="request", path="/graphql")
