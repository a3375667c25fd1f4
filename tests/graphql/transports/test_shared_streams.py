"""graphql-sse by its PROTOCOL.md, one stream for many operations: PUT, GET, POST, DELETE."""

import json
import socket as sockets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.transports.lab import SOURCES, LabServer
from tests.graphql.transports.wire import (
    EVENT_STREAM,
    STREAM_TOKEN,
    THREADS,
    codes,
    refused,
    reserve,
    shared_stream,
    start,
)
from tests.servers import SECRET

pytestmark = pytest.mark.usefixtures("no_faults")


def open_again(client: httpx.Client, token: str) -> httpx.Response:
    """GET of a stream that is not given."""
    return client.get("/graphql", headers={"Accept": EVENT_STREAM, STREAM_TOKEN: token})


def test_a_reservation_is_a_token(user: Client) -> None:
    response = user.put("/graphql")
    assert (response.status_code, response.headers["content-type"]) == (201, "text/plain; charset=utf-8")
    assert len(response.text) >= 32
    assert response.text != reserve(user)


def test_an_operation_ends_with_its_own_token(user: Client) -> None:
    """The stream, which was opened with another token of the same user, goes on."""
    claims = jwt.decode(
        user.headers["authorization"].removeprefix("Bearer "), options={"verify_signature": False}
    )
    soon = jwt.encode({**claims, "exp": datetime.now(UTC) + timedelta(seconds=2)}, SECRET)
    with shared_stream(user) as stream:
        with Client(str(user.base_url), soon) as guest:
            assert start(guest, stream.token, THREADS, "short").status_code == 202
        stream.next()
        ended, complete = stream.next(), stream.next()
        assert codes(ended.data["payload"]) == ["UNAUTHENTICATED"]
        assert (complete.event, complete.data) == ("complete", {"id": "short"})
        assert stream.start("{ __typename }", "short").status_code == 202
        assert stream.next().data["payload"]["data"] == {"__typename": "Query"}


def test_operations_of_one_stream_are_told_apart_by_their_ids(user: Client) -> None:
    with shared_stream(user) as stream:
        assert stream.start("{ __typename }", "a").status_code == 202
        answer, end = stream.next(), stream.next()
        assert (answer.event, answer.data["id"]) == ("next", "a")
        assert answer.data["payload"]["data"] == {"__typename": "Query"}
        assert (end.event, end.data) == ("complete", {"id": "a"})

        for operation_id in "bc":
            assert stream.start(THREADS, operation_id).content == b""
        begun = [stream.next() for _ in "bc"]
        assert {frame.data["id"] for frame in begun} == {"b", "c"}
        assert all("ThreadsCaughtUp" in json.dumps(frame.data["payload"]) for frame in begun)


def test_the_token_may_be_in_the_address(user: Client) -> None:
    token = reserve(user)
    with user.stream(
        "GET", "/graphql", params={"token": token}, headers={"Accept": EVENT_STREAM}
    ) as response:
        assert response.status_code == 200
        body = {"query": "{ __typename }", "extensions": {"operationId": "a"}}
        assert user.post("/graphql", params={"token": token}, json=body).status_code == 202
        text = ""
        for piece in response.iter_text():
            text += piece
            if "event: complete" in text:
                break


def test_what_begins_before_the_stream_opens_is_told_when_it_does(user: Client) -> None:
    token = reserve(user)
    assert start(user, token, "{ __typename }", "early").status_code == 202
    with shared_stream(user, token) as stream:
        assert stream.next().data["payload"]["data"] == {"__typename": "Query"}


def test_only_one_reader_has_a_stream(user: Client) -> None:
    with shared_stream(user) as stream:
        assert refused(open_again(user, stream.token), 409) == "BAD_USER_INPUT"
        stream.start("{ __typename }")
        assert stream.next().event == "next"


@pytest.mark.parametrize("token", ["x", "../..", "a" * 5000])
def test_a_token_of_no_stream_is_404(user: Client, token: str) -> None:
    assert refused(open_again(user, token), 404) == "BAD_USER_INPUT"
    assert refused(start(user, token, "{ __typename }"), 404) == "BAD_USER_INPUT"
    assert refused(user.delete("/graphql", headers={STREAM_TOKEN: token}), 404) == "BAD_USER_INPUT"


def test_a_stream_is_its_owners_alone(user: Client, new_user: Callable[..., Client]) -> None:
    token = reserve(user)
    with Client(str(user.base_url)) as nobody, shared_stream(user, token):
        for other in (new_user(), nobody):
            assert refused(open_again(other, token), 404) == "BAD_USER_INPUT"
            assert refused(start(other, token, "{ __typename }"), 404) == "BAD_USER_INPUT"
            assert refused(other.delete("/graphql", headers={STREAM_TOKEN: token}), 404) == "BAD_USER_INPUT"


@pytest.mark.parametrize("method", ["PUT", "GET", "POST", "DELETE"])
def test_a_bad_access_token_is_401(user: Client, method: str) -> None:
    headers = {STREAM_TOKEN: reserve(user), "Authorization": "Bearer x"}
    response = user.request(method, "/graphql", headers=headers)
    assert refused(response, 401) == "UNAUTHENTICATED"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS"])
def test_other_methods_are_405(user: Client, method: str) -> None:
    response = user.request(method, "/graphql", headers={STREAM_TOKEN: reserve(user)})
    assert refused(response, 405) == "BAD_USER_INPUT"
    assert response.headers["allow"] == "PUT, GET, POST, DELETE"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'[{"query": "{ __typename }", "extensions": {"operationId": "a"}}]', 400),
        (b'{"query": "{ __typename }"}', 400),
        (b'{"query": "{ __typename }", "extensions": {}}', 400),
        (b'{"query": "{ __typename }", "extensions": {"operationId": 1}}', 400),
        (b'{"query": "{ __typename }", "extensions": {"operationId": ""}}', 400),
        (b'{"query": "{", "extensions": {"operationId": "a"}}', 400),
        (b'{"query": "{ unheard }", "extensions": {"operationId": "a"}}', 400),
    ],
)
def test_a_request_that_cannot_begin_is_refused_by_itself(user: Client, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json", STREAM_TOKEN: reserve(user)}
    refused(user.post("/graphql", content=body, headers=headers), status)


def test_an_operation_that_fails_when_it_begins_is_told_on_the_stream(user: Client) -> None:
    with shared_stream(user) as stream:
        assert stream.start('subscription { threadsChanged(after: "x") { __typename } }').status_code == 202
        failed, end = stream.next(), stream.next()
        assert (failed.event, codes(failed.data["payload"])) == ("next", ["BAD_USER_INPUT"])
        assert (end.event, end.data) == ("complete", {"id": "1"})


def test_an_operation_id_is_used_once_at_a_time(user: Client) -> None:
    with shared_stream(user) as stream:
        assert stream.start(THREADS, "a").status_code == 202
        assert refused(stream.start("{ __typename }", "a"), 409) == "BAD_USER_INPUT"
        assert stream.next().data["id"] == "a"
        assert stream.start("{ __typename }", "b").status_code == 202
        assert [stream.next().data["id"], stream.next().data["id"]] == ["b", "b"]
        assert stream.start("{ __typename }", "b").status_code == 202


def test_delete_stops_the_source_and_frees_the_id(lab: LabServer) -> None:
    with lab.client() as client, shared_stream(client) as stream:
        for field in ("silence", "ticks"):
            name = unique(field)
            for _ in range(3):
                subscription = f'subscription {{ {field}(name: "{name}") }}'
                assert stream.start(subscription, name).status_code == 202
                assert SOURCES.wait_for_living(name, 1)
                assert stream.stop(name).status_code == 200
                assert SOURCES.living[name] == 0
        assert stream.stop("unknown").status_code == 200


def test_a_reservation_that_nobody_opens_is_dropped_with_its_operations(
    lab: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_schema.transports.event_streams.RESERVATION_SECONDS", 0.3)
    name = unique("unopened")
    with lab.client() as client:
        token = reserve(client)
        assert start(client, token, f'subscription {{ ticks(name: "{name}") }}').status_code == 202
        assert SOURCES.wait_for_living(name, 1)
        assert SOURCES.wait_for_living(name, 0)
        assert refused(open_again(client, token), 404) == "BAD_USER_INPUT"


def test_a_stream_that_is_open_outlives_its_reservation(
    lab: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_schema.transports.event_streams.RESERVATION_SECONDS", 0.05)
    with lab.client() as client, shared_stream(client) as stream:
        # A reservation that was made later has expired: so has the first one's time.
        name = unique("later")
        start(client, reserve(client), f'subscription {{ silence(name: "{name}") }}')
        assert SOURCES.wait_for_living(name, 1)
        assert SOURCES.wait_for_living(name, 0)
        assert stream.start("{ __typename }").status_code == 202
        assert stream.next().event == "next"


def test_all_operations_end_with_their_stream(lab: LabServer) -> None:
    names = [unique("orphan") for _ in range(3)]
    with lab.client() as client:
        with shared_stream(client) as stream:
            for name in names:
                stream.start(f'subscription {{ silence(name: "{name}") }}', name)
                assert SOURCES.wait_for_living(name, 1)
        for name in names:
            assert SOURCES.wait_for_living(name, 0)
        assert refused(start(client, stream.token, "{ __typename }"), 404) == "BAD_USER_INPUT"


def test_an_operation_that_arrives_as_its_stream_ends_does_not_begin(lab: LabServer) -> None:
    name = unique("late")
    query = f'subscription {{ silence(name: "{name}") }}'
    body = json.dumps({"query": query, "extensions": {"operationId": "late"}}).encode()
    with lab.client() as client, sockets.create_connection(("127.0.0.1", lab.port), timeout=10) as late:
        with shared_stream(client) as stream:
            head = f"POST /graphql HTTP/1.1\r\nHost: x\r\n{STREAM_TOKEN}: {stream.token}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            late.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            # The request has found its stream, and waits for its body.
            assert late.recv(1000).startswith(b"HTTP/1.1 100 ")
        while start(client, stream.token, "{ __typename }").status_code != 404:
            pass  # until the server has noticed
        late.sendall(body)
        assert late.recv(1000).startswith(b"HTTP/1.1 404 ")
    assert SOURCES.living[name] == 0


def test_a_silent_stream_says_that_it_is_there(tmp_path: Path) -> None:
    with (
        LabServer(tmp_path, heartbeat_seconds=0.05) as lab,
        lab.client() as client,
        shared_stream(client) as stream,
    ):
        assert [stream.stream.block() for _ in range(3)] == [":"] * 3
