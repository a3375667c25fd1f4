"""Runs of one thread go one at a time and in order; those of different threads side by side."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.provider import RecordedRequest
from tests.provider.client import ProviderProcess
from tests.provider.script import Script, WaitFor, plain_error, text_stream
from tests.runs.following import cancel, ended, events, following, run, run_id_of, start, statuses
from tests.servers import ServerProcess

QUEUE_LIMIT = 20


@pytest.fixture(scope="module")
def narrow(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that writes one answer at a time."""
    settings = {"CHAT_MAX_CONCURRENT_RUNS": "1"}
    with ServerProcess(tmp_path_factory.mktemp("narrow"), f"{provider.base_url}/v1", settings) as server:
        yield server


def held(gate: str, text: str) -> Script:
    """An answer whose second half comes when the gate is opened."""
    return text_stream(f"{text} ", WaitFor(gate), "whole")


def prompt(request: RecordedRequest) -> list[tuple[str, str]]:
    """Who said what, as the provider was told."""
    return [(message["role"], message["content"]) for message in request.json["messages"]]


def one_after_the_other(requests: list[RecordedRequest]) -> bool:
    """Whether each request came when the one before it was over."""
    return all(
        earlier.ended_at is not None and earlier.ended_at <= later.received_at
        for earlier, later in pairwise(requests)
    )


def message_statuses(client: Client, thread_id: str) -> dict[str, str]:
    """The status of each message by its text."""
    return {message["text"]: message["status"] for message in client.messages(thread_id)}


def test_a_later_question_waits_and_is_no_part_of_the_earlier_prompt(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    names = [f"{model} {number}" for number in range(3)]
    provider.script(model, *(held(name, f"answer {name}") for name in names))
    thread_id = user.new_thread()["id"]

    runs = [start(user, thread_id, name, model=model) for name in names]
    for number, name in enumerate(names):
        provider.wait_until_held(name)
        assert len(provider.requests(model)) == number + 1
        later = [run(user, run_id)["status"] for run_id in runs[number + 1 :]]
        assert later == ["queued"] * (2 - number)
        provider.open_gate(name)
    assert [ended(user, run_id)["status"] for run_id in runs] == ["completed"] * 3

    said: list[tuple[str, str]] = []
    for name, request in zip(names, provider.requests(model), strict=True):
        assert prompt(request) == [*said, ("user", name)]
        said += [("user", name), ("assistant", f"answer {name} whole")]
    assert one_after_the_other(provider.requests(model))


def test_a_message_is_queued_then_processing_then_ready(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, held(f"{model} 1", "one"), held(f"{model} 2", "two"))
    thread_id = user.new_thread()["id"]
    runs = [start(user, thread_id, text, model=model) for text in ("first", "second")]

    provider.wait_until_held(f"{model} 1")
    assert message_statuses(user, thread_id) == {"first": "processing", "second": "queued"}
    provider.open_gate(f"{model} 1")
    provider.wait_until_held(f"{model} 2")
    assert message_statuses(user, thread_id) == {
        "first": "ready",
        "second": "processing",
        "one whole": "ready",
    }
    provider.open_gate(f"{model} 2")
    ended(user, runs[1])
    assert message_statuses(user, thread_id)["second"] == "ready"


def test_sends_that_race_for_one_thread_are_answered_in_the_order_of_its_messages(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Right"))
    thread_id = user.new_thread()["id"]
    texts = [f"question {number}" for number in range(QUEUE_LIMIT)]

    with ThreadPoolExecutor(len(texts)) as pool:
        answers = list(pool.map(lambda text: user.send_message(thread_id, text, model=model), texts))

    assert [answer.status_code for answer in answers] == [201] * len(texts)
    newest_first = [item["text"] for item in user.messages(thread_id, limit=100)]
    asked = [text for text in reversed(newest_first) if text != "Right"]
    requests = provider.requests(model)
    assert [prompt(request)[-1][1] for request in requests] == asked
    assert sorted(asked) == sorted(texts)
    assert one_after_the_other(requests)
    assert [len(prompt(request)) for request in requests] == list(range(1, 2 * len(texts), 2))


def test_different_threads_are_answered_side_by_side(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, held(model, "Side by side"))
    runs = [start(user, user.new_thread()["id"], model=model) for _ in range(10)]

    provider.wait_until_held(model, len(runs))
    provider.open_gate(model)

    assert [ended(user, run_id)["status"] for run_id in runs] == ["completed"] * len(runs)


def test_a_run_behind_a_failed_one_goes_on(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, plain_error("Out of luck", 500).held(model), text_stream("Better"))
    thread_id = user.new_thread()["id"]
    runs = [start(user, thread_id, model=model) for _ in range(2)]

    provider.open_gate(model)

    assert [ended(user, run_id)["status"] for run_id in runs] == ["failed", "completed"]


def test_a_send_to_a_full_queue_is_refused_and_stores_nothing(
    user: Client, server: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, held(model, "Full"))
    thread_id = user.new_thread()["id"]
    runs = [start(user, thread_id, f"question {number}", model=model) for number in range(QUEUE_LIMIT)]
    file = {"filename": f"{model}.txt", "data_base64": base64.b64encode(model.encode()).decode()}
    url = f"/api/threads/{thread_id}/messages"

    refused = [
        user.post(address, json={"text": "One too many", "attachments": [file]})
        for address in (url, f"{url}/stream")
    ]

    for answer in refused:
        assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
        assert "20" in answer.json()["detail"]
    assert len(user.messages(thread_id, limit=100)) == QUEUE_LIMIT
    stored = (path for path in Path(server.directory, "storage").rglob("*") if path.is_file())
    assert model.encode() not in {path.read_bytes() for path in stored}
    provider.open_gate(model)
    assert [ended(user, run_id)["status"] for run_id in runs] == ["completed"] * QUEUE_LIMIT
    assert user.send_message(thread_id).status_code == 201


def test_a_cancelled_run_that_waited_is_never_asked_and_makes_room(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, held(model, "First"), text_stream("Third"))
    thread_id = user.new_thread()["id"]
    runs = [start(user, thread_id, text, model=model) for text in ("1", "2", "3")]
    provider.wait_until_held(model)
    with following(user, runs[1]) as frames:
        assert next(frames).status == "queued"
        answer = cancel(user, runs[1])
        assert statuses(list(frames)[:-1]) == ["cancelled"]

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert message_statuses(user, thread_id)["2"] == "ready"
    provider.open_gate(model)
    assert [ended(user, run_id)["status"] for run_id in runs] == ["completed", "cancelled", "completed"]
    asked = [prompt(request)[-1][1] for request in provider.requests(model)]
    assert asked == ["1", "3"]


def test_one_run_at_a_time_is_all_that_a_limit_of_one_allows(
    narrow: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, held(model, "One"))
    with narrow.admin() as client:
        runs = [start(client, client.new_thread()["id"], model=model) for _ in range(4)]
        provider.wait_until_held(model)
        assert [run(client, run_id)["status"] for run_id in runs[1:]] == ["queued"] * 3
        assert cancel(client, runs[0]).json()["status"] == "cancelled"
        provider.open_gate(model)
        assert [ended(client, run_id)["status"] for run_id in runs[1:]] == ["completed"] * 3
    requests = provider.requests(model)
    assert len(requests) == 4
    assert one_after_the_other(requests[1:])


def test_no_send_is_forgotten_while_many_press_through_a_limit_of_one(
    narrow: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Next"), plain_error("Out of luck", 500), text_stream("Next"))
    with narrow.admin() as client:
        threads = [client.new_thread()["id"] for _ in range(3)]

        def send(number: int) -> int:
            return client.send_message(threads[number % 3], f"{number}", model=model).status_code

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(send, range(60)))

        assert sorted(answers) == [201] * 59 + [502]
        assert sum(len(client.messages(thread_id, limit=100)) for thread_id in threads) == 119
    assert one_after_the_other(provider.requests(model))


def test_queued_runs_survive_a_killed_server_and_go_on_in_order(
    provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    provider.script(model, held(model, "Lost"), text_stream("Second"), text_stream("Third"))
    with ServerProcess(tmp_path, f"{provider.base_url}/v1") as server:
        with server.admin() as client:
            thread_id = client.new_thread()["id"]
            runs = [start(client, thread_id, text, model=model) for text in ("1", "2", "3")]
            provider.wait_until_held(model)
            server.kill()
        provider.wait_for_close(model)
        with server.start().admin() as client:
            found: list[dict[str, Any]] = [ended(client, run_id) for run_id in runs]
            told = [statuses(events(client, run_id)[:-1])[-1] for run_id in runs]
            assert client.send_message(thread_id, "4").status_code == 201

    assert [item["status"] for item in found] == told == ["failed", "completed", "completed"]
    assert "server stopped" in found[0]["error"]
    questions = [[text for role, text in prompt(item) if role == "user"] for item in provider.requests(model)]
    assert questions == [["1"], ["1", "2"], ["1", "2", "3"], ["1", "2", "3", "4"]]


def test_a_stream_of_a_run_that_waits_says_queued_until_its_turn(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, held(model, "First"), text_stream("Second"))
    thread_id = user.new_thread()["id"]
    start(user, thread_id, model=model)
    with user.streaming(thread_id, model=model) as response:
        run_id = run_id_of(response)
        lines = response.iter_lines()
        assert '"agent_status":"queued"' in next(lines)
        assert run(user, run_id)["status"] == "queued"
        provider.open_gate(model)
        rest = "\n".join(lines)
    assert "Second" in rest
    assert rest.index('"agent_status":"running"') < rest.index("Second")
