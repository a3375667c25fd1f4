"""graphql-sse by its PROTOCOL.md, a stream for each operation; with our cursors as event ids."""

import json
from pathlib import Path

import pytest

from tests.clients import Client
from tests.graphql.operations import RUN_EVENTS, start_run, text_of
from tests.graphql.transports.lab import LabServer
from tests.graphql.transports.wire import EVENT_STREAM, THREADS, codes, event_stream, parse_frame
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream

pytestmark = pytest.mark.usefixtures("no_faults")


def run_events(run_id: str) -> str:
    """The subscription without variables."""
    return (
        RUN_EVENTS.partition("(")[0]
        + "{"
        + RUN_EVENTS.partition("{")[2].replace("runId: $runId, after: $after", f'runId: "{run_id}"')
    )


def test_events_are_told_as_they_happen_and_then_the_end(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("first", WaitFor(model), "second"))
    run_id = start_run(user, model)

    with event_stream(user, run_events(run_id)) as stream:
        frames = iter(stream)
        seen = [next(frames)]
        while "first" not in json.dumps(seen[-1].data):
            seen.append(next(frames))
        provider.open_gate(model)
        seen += frames

    *events, end = seen
    assert (end.event, end.data) == ("complete", None)
    assert {frame.event for frame in events} == {"next"}
    told = [frame.data["data"]["runEvents"] for frame in events]
    assert text_of(told) == "firstsecond"
    assert told[-1]["__typename"] == "RunEnded"


def test_each_event_is_written_in_whole_lines_of_lf(user: Client) -> None:
    with event_stream(user, THREADS) as stream:
        lines = stream.block().split("\n")
        while lines == [":"]:
            lines = stream.block().split("\n")
    id_line, event_line, data_line = lines
    cursor = json.loads(data_line.removeprefix("data: "))["data"]["threadsChanged"]["cursor"]
    assert (id_line, event_line) == (f"id: {cursor}", "event: next")


def test_the_id_of_an_event_is_the_cursor_behind_it(user: Client) -> None:
    with event_stream(user, THREADS) as stream:
        first = stream.next()
        user.new_thread(title="Rome")
        second = stream.next()
    for frame in (first, second):
        assert frame.id == frame.data["data"]["threadsChanged"]["cursor"]


def test_the_id_needs_no_cursor_among_the_fields(user: Client) -> None:
    with event_stream(user, "subscription { threadsChanged { __typename } }") as stream:
        assert stream.next().id


def test_a_stream_goes_on_behind_the_last_event_id(user: Client) -> None:
    with event_stream(user, THREADS) as stream:
        cursor = stream.next().id
    assert cursor
    missed = user.new_thread(title="Missed")["id"]

    query = "subscription { threadsChanged { __typename ... on ThreadUpdated { thread { id } } } }"
    with event_stream(user, query, last_event_id=cursor) as stream:
        told = [stream.next().data["data"]["threadsChanged"] for _ in range(2)]
    assert told[0] == {"__typename": "ThreadUpdated", "thread": {"id": missed}}
    assert told[1]["__typename"] == "ThreadsCaughtUp"


def test_a_run_goes_on_behind_the_last_event_id(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("first", WaitFor(model), "second"))
    run_id = start_run(user, model)
    with event_stream(user, run_events(run_id)) as stream:
        cursor = next(frame.id for frame in stream if "first" in json.dumps(frame.data))
    assert cursor
    provider.open_gate(model)

    with event_stream(user, run_events(run_id), last_event_id=cursor) as stream:
        told = [frame.data["data"]["runEvents"] for frame in stream if frame.event == "next"]
    assert text_of(told) == "second"


@pytest.mark.parametrize("last_event_id", ["x", "0-0", "%00", "a" * 5000, "-1"])
def test_a_last_event_id_that_is_none_of_ours_is_told(user: Client, last_event_id: str) -> None:
    with event_stream(user, THREADS, last_event_id=last_event_id) as stream:
        failed, end = stream
    assert (failed.event, codes(failed.data), end.event) == ("next", ["BAD_USER_INPUT"], "complete")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ unheard }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { unheard }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
        ('subscription { threadsChanged(after: "x") { __typename } }', "BAD_USER_INPUT"),
    ],
)
def test_an_operation_that_cannot_begin_is_told_inside_the_stream(
    user: Client, query: str, code: str
) -> None:
    with event_stream(user, query) as stream:
        failed, end = stream
    assert (failed.event, codes(failed.data), end.event) == ("next", [code], "complete")


def test_who_accepts_json_too_is_told_in_json_what_cannot_begin(user: Client) -> None:
    headers = {"Accept": f"application/graphql-response+json, {EVENT_STREAM}"}
    response = user.post("/graphql", json={"query": "subscription { unheard }"}, headers=headers)
    assert response.status_code == 400
    assert codes(response.json()) == ["GRAPHQL_VALIDATION_FAILED"]


def test_with_a_token_that_is_none_a_subscription_is_told_so(user: Client) -> None:
    with event_stream(user, THREADS, authorization="Bearer x") as stream:
        assert codes(stream.next().data) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("query", ["{ __typename }", "mutation { createThread(input: {}) { __typename } }"])
def test_a_query_or_a_mutation_is_a_stream_of_one(user: Client, query: str) -> None:
    with event_stream(user, query) as stream:
        answer, end = stream
    assert (answer.event, answer.id, end.event, end.data) == ("next", None, "complete", None)
    assert answer.data["data"]
    assert "errors" not in answer.data


def test_a_browsers_event_source_asks_by_get(user: Client) -> None:
    with user.stream(
        "GET", "/graphql", params={"query": THREADS}, headers={"Accept": EVENT_STREAM}
    ) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        text = ""
        for piece in response.iter_text():
            text += piece
            if "event: next" in text:
                break


def test_a_silent_stream_says_that_it_is_there(tmp_path: Path) -> None:
    with (
        LabServer(tmp_path, heartbeat_seconds=0.05) as lab,
        lab.client() as client,
        event_stream(client, 'subscription { silence(name: "quiet") }') as stream,
    ):
        blocks = [stream.block() for _ in range(5)]
    told = [parse_frame(block) for block in blocks]
    assert [frame for frame in told if frame] == [("next", {"data": {"silence": 1}}, None)]
    assert blocks.count(":") == 4
