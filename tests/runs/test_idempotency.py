"""Sending again with the same Idempotency-Key stores nothing new and attaches to the first answer."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import Client, chunks, payloads
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, json_body, text_stream
from tests.runs.following import cancel, ended, run_id_of, start
from tests.servers import ServerProcess

HEADER = "Idempotency-Key"


@pytest.fixture
def key() -> dict[str, str]:
    return {HEADER: unique("key")}


def send(
    client: Client, thread_id: str, key: dict[str, str], text: str = "Hi", **body: Any
) -> httpx.Response:
    return client.post(f"/api/threads/{thread_id}/messages", json={"text": text, **body}, headers=key)


def test_a_send_repeated_while_the_answer_is_written_waits_for_the_same_answer(
    user: Client, provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    provider.script(model, text_stream("Once", WaitFor(model), " only"))
    thread_id = user.new_thread()["id"]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, user, thread_id, key, model=model)
        provider.wait_until_held(model)
        with user.streaming(thread_id, model=model, headers=key) as attached:
            again = pool.submit(send, user, thread_id, key, model=model)
            provider.open_gate(model)
            body = attached.read().decode()
        answers = [first.result(), again.result()]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert {run_id_of(answer) for answer in answers} == {run_id_of(attached)}
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(body)]
    assert "".join(texts) == "Once only"
    assert [item["text"] for item in user.messages(thread_id)] == ["Once only", "Hi"]
    assert len(provider.requests(model)) == 1


def test_a_send_repeated_after_the_answer_gives_the_same_answer(
    user: Client, provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    provider.script(model, text_stream("Once", usage=(3, 1)))
    thread_id = user.new_thread()["id"]
    with user.streaming(thread_id, model=model, headers=key) as response:
        streamed = response.read().decode()

    with user.streaming(thread_id, model=model, headers=key) as response:
        assert payloads(response.read().decode()) == payloads(streamed)
    answer = send(user, thread_id, key, model=model)

    assert (answer.status_code, answer.json()["status"], answer.json()["tokens_count"]) == (201, "ready", 3)
    assert answer.json()["id"] == user.messages(thread_id)[-1]["id"]
    assert len(user.messages(thread_id)) == 2
    assert len(provider.requests(model)) == 1


def test_a_repeated_send_finds_the_first_failure_again(
    user: Client, provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    provider.script(model, json_body({"error": {"message": "Out of luck"}}, status=500))
    thread_id = user.new_thread()["id"]

    answers = [send(user, thread_id, key, model=model) for _ in range(2)]

    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [(502, "Out of luck")] * 2
    assert len(provider.requests(model)) == 1


def test_a_send_repeated_after_a_cancel_gives_what_was_kept(
    user: Client, provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    provider.script(model, text_stream("Kept", WaitFor(model)))
    thread_id = user.new_thread()["id"]
    with user.streaming(thread_id, model=model, headers=key) as response:
        provider.wait_until_held(model)
        cancel(user, run_id_of(response))
        streamed = response.read().decode()

    with user.streaming(thread_id, model=model, headers=key) as response:
        assert response.read().decode() == streamed
    assert send(user, thread_id, key, model=model).status_code == 201
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Other"},
        {"model_label": "Other"},
        {"metadata": {"other": 1}},
        {"attachments": [{"filename": "other", "data_base64": "b3RoZXI="}]},
    ],
)
def test_a_key_that_was_used_for_another_request_is_refused(
    user: Client, key: dict[str, str], other: dict[str, Any]
) -> None:
    thread_id = user.new_thread()["id"]
    assert send(user, thread_id, key, model="echo").status_code == 201

    refused = [
        user.post(url, json={"text": "Hi", "model": "echo", **other}, headers=key)
        for url in (f"/api/threads/{thread_id}/messages", f"/api/threads/{thread_id}/messages/stream")
    ]

    assert [answer.status_code for answer in refused] == [422, 422]
    assert "idempotency key" in refused[0].text
    assert len(user.messages(thread_id)) == 2


def test_concurrent_equal_sends_are_one_message_and_one_request_to_the_provider(
    user: Client, server: ServerProcess, provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    provider.script(model, text_stream("Once", WaitFor(model), " only"))
    thread_id = user.new_thread()["id"]
    content = model.encode()
    file = {"filename": "same.txt", "data_base64": base64.b64encode(content).decode()}
    with ThreadPoolExecutor(10) as pool:
        sends = [pool.submit(send, user, thread_id, key, model=model, attachments=[file]) for _ in range(10)]
        provider.wait_until_held(model)
        provider.open_gate(model)
        answers = [future.result() for future in sends]

    assert [answer.status_code for answer in answers] == [201] * 10
    assert len({(answer.json()["id"], run_id_of(answer)) for answer in answers}) == 1
    assert [item["text"] for item in user.messages(thread_id)] == ["Once only", "Hi"]
    assert len(provider.requests(model)) == 1
    stored = [path for path in Path(server.directory, "storage").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in stored].count(content) == 1


def test_repeated_sends_take_no_place_from_others(
    user: Client, provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    """A thread may have 20 unfinished runs: repeated sends are none of them."""
    provider.script(model, text_stream(WaitFor(model), "Done"))
    thread_id = user.new_thread()["id"]
    with ThreadPoolExecutor(30) as pool:
        sends = [pool.submit(send, user, thread_id, key, model=model) for _ in range(30)]
        provider.wait_until_held(model)
        others = [start(user, thread_id, f"{number}", model=model) for number in range(19)]
        provider.open_gate(model)
        answers = [future.result() for future in sends]

    assert {answer.status_code for answer in answers} == {201}
    assert {ended(user, run_id)["status"] for run_id in others} == {"completed"}
    assert len(provider.requests(model)) == 20


def test_the_same_key_in_another_thread_is_another_message(
    user: Client, new_user: Callable[..., Client], provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    provider.script(model, text_stream("Mine"))
    for client in (user, user, new_user()):
        assert send(client, client.new_thread()["id"], key, model=model).status_code == 201

    assert len(provider.requests(model)) == 3


def test_a_send_that_was_refused_leaves_its_key_unused(
    user: Client, provider: ProviderProcess, model: str, key: dict[str, str]
) -> None:
    provider.script(model, text_stream("Now"))
    thread_id = user.new_thread()["id"]

    assert send(user, thread_id, key).status_code == 400
    assert send(user, thread_id, key, model=model).status_code == 201

    assert len(provider.requests(model)) == 1


def test_a_key_is_remembered_after_a_restart(
    provider: ProviderProcess, model: str, key: dict[str, str], tmp_path: Path
) -> None:
    provider.script(model, text_stream("Once", agent_status="completed"))
    with ServerProcess(tmp_path, f"{provider.base_url}/v1") as server:
        with server.admin() as client:
            thread_id = client.new_thread()["id"]
            first = send(client, thread_id, key, model=model)
        server.stop()
        with server.start().admin() as client:
            again = send(client, thread_id, key, model=model)
            with client.streaming(thread_id, model=model, headers=key) as response:
                told = chunks(response.read().decode())

    assert again.json() == first.json()
    assert [chunk.get("agent_status") for chunk in told] == ["queued", "running", None, "completed"]
    assert told[2]["choices"][0]["delta"]["content"] == "Once"
    assert len(provider.requests(model)) == 1


def test_an_empty_key_is_none(user: Client) -> None:
    thread_id = user.new_thread()["id"]

    answers = [send(user, thread_id, {HEADER: ""}, text, model="echo") for text in ("One", "One", "Two")]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert len(user.messages(thread_id)) == 6


def test_a_key_that_is_too_long_is_refused(user: Client) -> None:
    answer = send(user, user.new_thread()["id"], {HEADER: "k" * 256}, model="echo")

    assert answer.status_code == 422
