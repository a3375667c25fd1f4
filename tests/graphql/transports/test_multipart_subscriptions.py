"""Apollo's multipart subscriptions over HTTP."""

import json
from pathlib import Path

import pytest

from tests.clients import Client
from tests.graphql.operations import start_run, text_of
from tests.graphql.transports.lab import LabServer
from tests.graphql.transports.test_event_streams import run_events
from tests.graphql.transports.wire import MULTIPART, THREADS, codes, multipart, refused
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream

pytestmark = pytest.mark.usefixtures("no_faults")

APOLLO = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"


@pytest.mark.parametrize(
    "accept", [APOLLO, MULTIPART, 'multipart/mixed; subscriptionSpec="1.0", application/json']
)
def test_events_are_parts_and_the_last_boundary_is_the_end(
    user: Client, provider: ProviderProcess, model: str, accept: str
) -> None:
    provider.script(model, text_stream("first", WaitFor(model), "second"))
    run_id = start_run(user, model)

    with multipart(user, run_events(run_id), accept) as parts:
        seen = [parts.next()]
        while "first" not in json.dumps(seen[-1]):
            seen.append(parts.next())
        provider.open_gate(model)
        seen += [part for part in parts if part]

    assert all(set(part) == {"payload"} for part in seen)
    told = [part["payload"]["data"]["runEvents"] for part in seen]
    assert text_of(told) == "firstsecond"
    assert told[-1]["__typename"] == "RunEnded"


def test_a_part_is_told_as_soon_as_it_is_there(user: Client) -> None:
    with multipart(user, THREADS) as parts:
        assert "ThreadsCaughtUp" in json.dumps(parts.next())
        user.new_thread(title="Rome")
        assert "ThreadUpdated" in json.dumps(parts.next())


def test_a_silent_stream_sends_empty_parts(tmp_path: Path) -> None:
    with (
        LabServer(tmp_path, heartbeat_seconds=0.05) as lab,
        lab.client() as client,
        multipart(client, 'subscription { silence(name: "quiet") }') as parts,
    ):
        seen = [next(iter(parts)) for _ in range(5)]
    assert seen.count({}) == 4
    assert {"payload": {"data": {"silence": 1}}} in seen


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { unheard }", "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { threadsChanged(after: "x") { __typename } }', "BAD_USER_INPUT"),
    ],
)
def test_what_cannot_begin_is_told_as_it_is_accepted(user: Client, query: str, code: str) -> None:
    in_json = user.post("/graphql", json={"query": query}, headers={"Accept": APOLLO})
    assert in_json.headers["content-type"] == "application/json; charset=utf-8"
    assert codes(in_json.json()) == [code]

    with multipart(user, query) as parts:
        (only,) = parts
    assert codes(only["payload"]) == [code]


def test_a_query_is_a_stream_of_one_part_if_nothing_else_is_accepted(user: Client) -> None:
    with multipart(user, "{ __typename }") as parts:
        (only,) = parts
    assert only["payload"]["data"] == {"__typename": "Query"}
    response = user.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": APOLLO})
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    "accept", ["multipart/mixed", "multipart/mixed;deferSpec=20220824", "multipart/form-data"]
)
def test_multipart_of_another_kind_is_not_given(user: Client, accept: str) -> None:
    response = user.post("/graphql", json={"query": THREADS}, headers={"Accept": accept})
    assert refused(response, 406) == "BAD_USER_INPUT"
