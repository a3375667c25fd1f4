"""Cancelling: the provider is let go at once, what has arrived is kept, every reader is told once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.clients import DONE, Client, chunks
from tests.provider.client import ProviderProcess
from tests.provider.script import Send, WaitFor, chunk, sse, text_stream
from tests.runs.following import (
    Frame,
    cancel,
    ended,
    events,
    following,
    run,
    run_id_of,
    start,
    statuses,
    text_of,
)

FINAL = ("completed", "cancelled")


def seconds_to_close(provider: ProviderProcess, model: str, since: float) -> float:
    """How long after this moment the only connection for this model was closed by its peer."""
    (request,) = provider.wait_for_close(model)
    assert request.ended_at is not None
    return request.ended_at - since


def read_until(frames: Any, text: str) -> list[Frame]:
    """The frames up to the one whose text ends so."""
    told: list[Frame] = []
    while not text_of(told).endswith(text):
        told.append(next(frames))
    return told


def test_a_run_cancelled_before_the_first_byte_has_no_answer(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Never").held(model))
    thread_id = user.new_thread()["id"]
    run_id = start(user, thread_id, model=model)
    provider.wait_until_held(model)

    since = time.monotonic()
    answer = cancel(user, run_id)

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert seconds_to_close(provider, model, since) < 1
    (question,) = user.messages(thread_id)
    assert (question["status"], question["error_code"]) == ("ready", None)
    assert statuses(events(user, run_id)[:-1]) == ["queued", "running", "cancelled"]


def test_a_run_cancelled_in_the_middle_of_a_frame_keeps_the_whole_ones(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    half = Send(b'data: {"choices":[{"delta":{"content":"half')
    provider.script(model, sse(chunk("One, "), chunk("two, "), half, WaitFor(model), done=False))
    thread_id = user.new_thread()["id"]
    run_id = start(user, thread_id, model=model)
    provider.wait_until_held(model)
    with following(user, run_id) as frames:
        told = read_until(frames, "two, ")
        since = time.monotonic()
        cancel(user, run_id)
        told += frames

    assert seconds_to_close(provider, model, since) < 1
    assert text_of(told) == "One, two, "
    assert statuses(told[:-1])[-1] == "cancelled"
    answer, question = user.messages(thread_id)
    assert (answer["text"], answer["status"]) == ("One, two, ", "ready")
    assert question["status"] == "ready"
    assert run(user, run_id)["assistant_message_id"] == answer["id"]


def test_a_run_cancelled_at_the_very_end_keeps_the_whole_text(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, sse(chunk("All "), chunk("of it"), WaitFor(model), done=False))
    thread_id = user.new_thread()["id"]
    run_id = start(user, thread_id, model=model)
    with following(user, run_id) as frames:
        read_until(frames, "of it")
        answer = cancel(user, run_id)

    assert answer.json()["status"] == "cancelled"
    assert user.messages(thread_id)[0]["text"] == "All of it"


def test_a_thread_goes_on_after_a_cancelled_run(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("Kept", WaitFor(model)), text_stream("Next"))
    thread_id = user.new_thread()["id"]
    run_id = start(user, thread_id, "First", model=model)
    provider.wait_until_held(model)
    with following(user, run_id) as frames:
        read_until(frames, "Kept")
    cancel(user, run_id)

    assert user.send_message(thread_id, "Second").status_code == 201

    said = [message["content"] for message in provider.requests(model)[1].json["messages"]]
    assert said == ["First", "Kept", "Second"]


def test_every_reader_is_told_once_that_a_run_was_cancelled(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model)))
    thread_id = user.new_thread()["id"]
    with ThreadPoolExecutor(12) as pool:
        with user.streaming(thread_id, model=model) as response:
            run_id = run_id_of(response)
            provider.wait_until_held(model)
            readers = [pool.submit(events, user, run_id) for _ in range(8)]
            answers = [pool.submit(cancel, user, run_id) for _ in range(3)]
            chat = chunks(response.read().decode())
        told = [reader.result() for reader in readers]

    assert [answer.result().json()["status"] for answer in answers] == ["cancelled"] * 3
    assert [chunk.get("agent_status") for chunk in chat].count("cancelled") == 1
    assert chat[-1]["choices"][0]["finish_reason"] == "stop"
    for frames in told:
        assert [frame.status for frame in frames].count("cancelled") == 1
        assert frames == told[0]


def test_a_send_that_waits_for_a_cancelled_answer_returns(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model)))
    thread_id = user.new_thread()["id"]
    with ThreadPoolExecutor(1) as pool:
        key = {"Idempotency-Key": model}
        url = f"/api/threads/{thread_id}/messages"
        sent = pool.submit(user.post, url, json={"text": "Hi", "model": model}, headers=key)
        provider.wait_until_held(model)
        with user.streaming(thread_id, model=model, headers=key) as response:
            cancel(user, run_id_of(response))

    assert (sent.result().status_code, sent.result().json()["status"]) == (201, "ready")


def test_cancelling_again_or_after_the_end_changes_nothing(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Kept", WaitFor(model)))
    thread_id = user.new_thread()["id"]
    cancelled, finished = start(user, thread_id, model=model), start(user, thread_id, model="echo")
    provider.wait_until_held(model)

    first, second = cancel(user, cancelled), cancel(user, cancelled)
    before = ended(user, finished)
    after = cancel(user, finished)

    assert first.json() == second.json()
    assert (after.status_code, after.json()) == (200, before)
    assert before["status"] == "completed"
    assert statuses(events(user, finished)[:-1])[-1] == "completed"


def test_the_run_of_another_user_cannot_be_cancelled(
    new_user: Callable[..., Client], provider: ProviderProcess, model: str
) -> None:
    owner, stranger = new_user(), new_user()
    provider.script(model, text_stream("Mine", WaitFor(model), " alone"))
    run_id = start(owner, owner.new_thread()["id"], model=model)
    provider.wait_until_held(model)

    answer = cancel(stranger, run_id)

    unknown = cancel(stranger, owner.new_thread()["id"])
    assert (answer.status_code, answer.json()) == (unknown.status_code, unknown.json())
    assert answer.status_code == 404
    provider.open_gate(model)
    assert text_of(events(owner, run_id)) == "Mine alone"


@pytest.mark.parametrize("attempt", range(4))
def test_a_cancel_that_races_the_end_has_one_outcome_for_everybody(
    user: Client, provider: ProviderProcess, model: str, attempt: int
) -> None:
    """Whoever is first wins; the run, its readers and its messages agree on it, and the next run starts."""
    for number in range(8):
        name = f"{model} {number}"
        provider.script(name, sse(chunk("All"), WaitFor(name), chunk(" of it")), text_stream("Next"))
        thread_id = user.new_thread()["id"]
        run_id, following_id = (start(user, thread_id, model=name) for _ in range(2))
        provider.wait_until_held(name)
        with ThreadPoolExecutor(3) as pool:
            reader = pool.submit(events, user, run_id)
            if (number + attempt) % 2:
                provider.open_gate(name)
            answer = pool.submit(cancel, user, run_id)
            provider.open_gate(name)
            told = reader.result()

        status = run(user, run_id)["status"]
        assert status in FINAL
        assert [frame.status for frame in told if frame.status in FINAL] == [status]
        assert answer.result().json()["status"] == status
        text = text_of(told)
        assert text == "All of it" if status == "completed" else text in ("", "All", "All of it")
        assert ended(user, following_id)["status"] == "completed"
        stored = [item["text"] for item in user.messages(thread_id) if item["sender_type"] == "assistant"]
        assert stored == (["Next", text] if text else ["Next"])


@pytest.mark.parametrize("attempt", range(4))
def test_a_cancel_that_races_the_start_of_a_queued_run_has_one_outcome(
    user: Client, provider: ProviderProcess, model: str, attempt: int
) -> None:
    for number in range(8):
        name = f"{model} {number}"
        provider.script(name, text_stream(WaitFor(name), "First"), text_stream("Second"))
        thread_id = user.new_thread()["id"]
        runs = [start(user, thread_id, model=name) for _ in range(3)]
        provider.wait_until_held(name)
        with ThreadPoolExecutor(3) as pool:
            reader = pool.submit(events, user, runs[1])
            if (number + attempt) % 2:
                provider.open_gate(name)
            answer = pool.submit(cancel, user, runs[1])
            provider.open_gate(name)
            told = reader.result()

        status = run(user, runs[1])["status"]
        assert answer.result().json()["status"] == status
        assert [frame.status for frame in told if frame.status in FINAL] == [status]
        assert [ended(user, runs[place])["status"] for place in (0, 2)] == ["completed"] * 2
        assert told[-1].data == DONE
