"""Readers of what is no longer kept: one text in place of its events, and the end as it was."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

import httpx
import pytest

from core.runs.events import Cursor
from tests.clients import DONE, Client, chunks
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, chunk, sse, text_stream
from tests.runs.following import (
    Frame,
    ended,
    events,
    following,
    numbered,
    poll,
    run_id_of,
    start,
    statuses,
    text_of,
)
from tests.servers import ServerProcess

LINE = "A line of an answer that is longer than what the log may hold. " * 8


@pytest.fixture(scope="module")
def small_log(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that keeps the last few events of a long answer."""
    settings = {"CHAT_RUN_LOG_BYTES": "65536"}
    directory = tmp_path_factory.mktemp("small-log")
    with ServerProcess(directory, f"{provider.base_url}/v1", settings) as server:
        yield server


@pytest.fixture(scope="module")
def forgetful(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that drops the log of a run as soon as it has ended."""
    settings = {"CHAT_RUN_RETENTION_SECONDS": "0", "CHAT_CHECKPOINT_SECONDS": "0.05"}
    directory = tmp_path_factory.mktemp("forgetful")
    with ServerProcess(directory, f"{provider.base_url}/v1", settings) as server:
        yield server


def read_lines(client: Client, run_id: str, lines: list[str]) -> str:
    """Read until the last of these lines has come; the cursor before the first."""
    with following(client, run_id) as frames:
        cursor = next(frame.cursor for frame in frames if text_of([frame]).endswith(lines[-1]))
    assert cursor is not None
    return cursor.rpartition("-")[0] + "-1"


def test_two_tabs_see_every_event_and_a_late_third_a_snapshot_and_then_the_same(
    small_log: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    early, late = [f"{number}: {LINE}" for number in range(400)], ["the ", "end"]
    first, second = WaitFor(model), WaitFor(f"{model} 2")
    provider.script(model, text_stream(first, *early, second, *late))
    with small_log.admin() as client, ThreadPoolExecutor(2) as pool:
        run_id = start(client, client.new_thread()["id"], model=model)
        with following(client, run_id) as tab, following(client, run_id) as other:
            tabs = [pool.submit(list, frames) for frames in (tab, other)]
            provider.open_gate(model)
            provider.wait_until_held(f"{model} 2")
            with following(client, run_id) as third:
                snapshot = next(third)
                provider.open_gate(f"{model} 2")
                rest = list(third)
            seen, also_seen = (numbered(frames.result()) for frames in tabs)

    assert seen == also_seen
    assert [frame.data for frame in seen].count(DONE) == 1
    assert text_of(seen) == "".join([*early, *late])
    assert (snapshot.event, snapshot.json["text"]) == ("snapshot", "".join(early))
    assert numbered(rest) == seen[-len(numbered(rest)) :]
    assert text_of(rest) == "".join(late)


def test_a_reader_that_is_far_behind_gets_a_snapshot_and_then_lives_on(
    small_log: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    lines = [f"{number}: {LINE}" for number in range(400)]
    provider.script(model, text_stream(*lines, WaitFor(model), "the end"))
    with small_log.admin() as client:
        run_id = start(client, client.new_thread()["id"], model=model)
        early = read_lines(client, run_id, lines)
        with following(client, run_id, after=early) as frames:
            first = next(frames)
            provider.open_gate(model)
            rest = list(frames)

        assert (first.event, first.json) == ("snapshot", {"text": "".join(lines), "status": "streaming"})
        assert text_of([first, *rest]) == "".join(lines) + "the end"
        assert statuses(rest) == ["completed"]
        assert events(client, run_id, after=first.cursor) == rest


def test_a_chat_stream_that_comes_late_gets_the_text_in_one_piece_and_the_end(
    small_log: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    lines = [f"{number}: {LINE}" for number in range(400)]
    provider.script(model, text_stream(*lines, agent_status="completed"))
    key = {"Idempotency-Key": unique("key")}
    with small_log.admin() as client:
        thread_id = client.new_thread()["id"]
        with client.streaming(thread_id, model=model, headers=key) as response:
            events(client, run_id_of(response))
        with client.streaming(thread_id, model=model, headers=key) as response:
            told = chunks(response.read().decode())

    assert [chunk.get("agent_status") for chunk in told] == ["queued", "running", None, "completed"]
    assert told[2]["choices"][0]["delta"]["content"] == "".join(lines)
    assert told[-1]["choices"][0]["finish_reason"] == "stop"


def lazy(client: Client) -> httpx.Client:
    """The same client with little room for what it does not read."""
    transport = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)])
    return httpx.Client(base_url=client.base_url, headers=client.headers, transport=transport)


def read_what_comes(response: httpx.Response) -> Iterator[bytes]:
    """The body up to its end, or to where the server broke it off."""
    with suppress(httpx.RemoteProtocolError):
        yield from response.iter_raw()


def test_a_chat_stream_that_cannot_follow_ends_without_the_end_mark(
    small_log: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    """It cannot say a snapshot once it has begun; the run itself goes on to its end."""
    page = LINE * 64
    provider.script(model, text_stream(*[page] * 400))
    with small_log.admin() as client, lazy(client) as slow:
        url = f"/api/threads/{client.new_thread()['id']}/messages/stream"
        with slow.stream("POST", url, json={"text": "Hi", "model": model}) as response:
            run_id = run_id_of(response)
            assert ended(client, run_id)["status"] == "completed"
            told = b"".join(read_what_comes(response))

        assert told.startswith(b"data: ")
        assert DONE not in told.decode()
        assert text_of(events(client, run_id)) == page * 400


def forgotten(client: Client, run_id: str) -> list[Frame]:
    """The frames of a finished run once its log is dropped."""
    told: list[Frame] = []

    def is_forgotten() -> bool:
        told[:] = events(client, run_id)
        return told[0].event == "snapshot"

    poll(is_forgotten, "the log is still kept")
    return told


def test_a_run_whose_log_is_dropped_is_answered_with_its_whole_text(
    forgetful: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Hello", " world"))
    with forgetful.admin() as client:
        run_id = start(client, client.new_thread()["id"], model=model)
        with following(client, run_id) as frames:
            early = next(frames).cursor
        told = forgotten(client, run_id)

        assert told[0].json == {"text": "Hello world", "status": "completed"}
        assert statuses(told[1:]) == ["completed"]
        assert events(client, run_id, after=early) == told
        assert events(client, run_id, after=told[0].cursor) == told[1:]
        assert events(client, run_id, after=told[-1].cursor) == [Frame(None, "message", DONE)]


def test_an_interrupted_run_is_still_interrupted_when_its_log_is_dropped(
    forgetful: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    asks = chunk(agent_status="interrupted", interrupt_payload={"question": "Which one?"})
    provider.script(model, sse(asks))
    with forgetful.admin() as client:
        told = forgotten(client, start(client, client.new_thread()["id"], model=model))

    assert told[0].json == {"text": "Which one?", "status": "interrupted"}
    assert statuses(told[1:]) == ["interrupted"]


def test_a_failed_run_still_says_why_when_its_log_is_dropped(
    forgetful: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, sse(chunk("Hel"), '{"error":{"message":"Out of luck"}}'))
    with forgetful.admin() as client:
        told = forgotten(client, start(client, client.new_thread()["id"], model=model))

    assert told[0].json == {"text": "Hel", "status": "failed"}
    assert statuses(told[1:2]) == ["failed"]
    assert told[2].json == {"error": {"message": "Out of luck", "type": "agent_error"}}


def test_a_finished_run_is_answered_after_a_restart(forgetful: ServerProcess) -> None:
    with forgetful.admin() as client:
        run_id = start(client, client.new_thread()["id"], "Again, please", model="echo")
        told = events(client, run_id)
    assert forgetful.stop() == 0
    with forgetful.start().admin() as client:
        again = events(client, run_id)
        rest = events(client, run_id, after=Cursor(epoch=1, seq=2).encode(UUID(run_id)))

        assert text_of(again) == "Again, please"
        assert rest == again
        assert events(client, run_id, after=told[-1].cursor) == [Frame(None, "message", DONE)]
