"""POST …/messages/stream, frame by frame."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients import DONE, Client, chunks, payloads
from tests.provider.client import ProviderProcess
from tests.provider.script import Script, Send, WaitFor, chunk, plain_error, sse, text_stream
from tests.servers import ServerProcess


@pytest.fixture(scope="module")
def restless(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Its server repeats `running` five times a second, and can store no file."""
    directory = tmp_path_factory.mktemp("restless")
    (directory / "file").touch()
    settings = {
        "CHAT_HEARTBEAT_SECONDS": "0.2",
        "CHAT_ATTACHMENTS_STORAGE_DIR": str(directory / "file" / "storage"),
    }
    with ServerProcess(directory, f"{provider.base_url}/v1", settings) as server, server.admin() as client:
        yield client


def status_payload(thread_id: str, status: str, finish_reason: str | None = None) -> str:
    body = {
        "id": thread_id,
        "object": "chat.completion.chunk",
        "agent_status": status,
        "choices": [{"delta": {}, "finish_reason": finish_reason}],
    }
    return json.dumps(body, separators=(",", ":"))


class Frames:
    """The payloads of an open stream, each as soon as it is complete."""

    def __init__(self, response: httpx.Response) -> None:
        self._bytes = response.iter_raw()
        self._rest = b""

    def next(self) -> str:
        while b"\n\n" not in self._rest:
            self._rest += next(self._bytes)
        frame, self._rest = self._rest.split(b"\n\n", 1)
        (payload,) = payloads(frame.decode() + "\n\n")
        return payload

    def until(self, payload: str) -> list[str]:
        """All before the next such payload, which is taken, too."""
        return list(iter(self.next, payload))


# --- what comes at once ------------------------------------------------------------------


def test_queued_and_running_come_while_the_provider_is_silent(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("Hi").held(model))
    with user.streaming(thread_id, model=model) as response:
        frames = Frames(response)
        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert frames.next() == status_payload(thread_id, "queued")
        assert frames.next() == status_payload(thread_id, "running")
        provider.wait_until_held(model)
        provider.open_gate(model)
        frames.until(DONE)


def test_a_chunk_comes_before_the_next_one_is_sent(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    first, second = chunk("a"), chunk("b")
    provider.script(model, sse(first, WaitFor(model), second))
    with user.streaming(thread_id, model=model) as response:
        frames = Frames(response)
        frames.until(first)
        provider.open_gate(model)
        assert frames.next() == second


def test_running_is_repeated_while_the_provider_is_silent(
    restless: Client, provider: ProviderProcess, model: str
) -> None:
    thread_id, first, second = restless.new_thread()["id"], chunk("a"), chunk("b")
    provider.script(model, sse(first, WaitFor(f"{model}-2"), second).held(f"{model}-1"))
    running = status_payload(thread_id, "running")
    with restless.streaming(thread_id, model=model) as response:
        frames = Frames(response)
        assert [frames.next() for _ in range(4)] == [status_payload(thread_id, "queued"), *[running] * 3]
        provider.open_gate(f"{model}-1")
        assert set(frames.until(first)) <= {running}
        assert [frames.next() for _ in range(2)] == [running] * 2
        provider.open_gate(f"{model}-2")
        assert set(frames.until(second)) <= {running}
        assert frames.until(DONE) == [status_payload(thread_id, "completed", "stop")]


# --- chunks ------------------------------------------------------------------------------

ODD_CHUNKS = [
    '{"choices":[{"delta":{"content":"a"}}],"z":1.50,"a":1e5,"big":123456789012345678901234567890}',
    '{ "choices" : [ { "delta" : { "content" : "\\u0436\\/\\ud83d\\ude00" } } ], "choices2":[] }  ',
    '{"choices":[{"delta":{"content":"ж👩‍💻\u2028"}}],"unknown":{"b":null,"a":[true]}}',
    '{"choices":[{"delta":{"content":"\\ud83d"}}]}',
    '{"choices":[{"delta":{"role":"assistant","tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}',
    '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cost":0.10}}',
    '{"choices":[{"index":0,"delta":{"content":[{"type":"output_text","text":"b"}]}}]}',
    '{"choices":[{"delta":{"content":"c"}},{"index":1,"delta":{"content":"d"}}]}',
    '{"choices":[{"message":{"role":"assistant","content":"acd"}}]}',
    '{"choices":null,"message_metadata":{"attachments":[]},"agent_status":"streaming"}',
    "{}",
]


def test_chunks_pass_byte_for_byte(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, sse(*ODD_CHUNKS))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:-2] == ODD_CHUNKS


@pytest.mark.parametrize("size", [1, 7])
def test_chunks_pass_byte_for_byte_however_they_are_cut(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, size: int
) -> None:
    provider.script(model, sse(*ODD_CHUNKS).in_pieces(size))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:-2] == ODD_CHUNKS


def test_only_data_reaches_the_client_and_each_chunk_is_one_line(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    lines = (
        ': ping\r\n\r\nevent: x\r\nid: 1\r\ndata: {"choices":[{"delta":\r\ndata: {"content":"a"}}]}\r\n\r\n'
    )
    script = sse("[DONE]", done=False)
    provider.script(model, Script((Send(lines.encode()), *script.steps), headers=script.headers))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:-2] == ['{"choices":[{"delta": {"content":"a"}}]}']
    assert user.messages(thread_id)[0]["text"] == "a"


def test_what_was_streamed_is_what_is_stored(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("One ", "two\n", "  ", "", "три 👩‍💻"))
    body = user.stream_text(thread_id, model=model)

    shown = "".join(
        choice["delta"].get("content", "") for frame in chunks(body) for choice in frame["choices"]
    )
    assert user.messages(thread_id)[0]["text"] == shown == "One two\n  три 👩‍💻"


# --- the end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "is_added"),
    [
        *(([last], False) for last in ("completed", "COMPLETED", "Completed", "interrupted", "InterrupteD")),
        *(([last], True) for last in ("streaming", "running", "failed", "complete", None, "", 7)),
        (["streaming", "completed", None], False),
        (["completed", "streaming"], True),
        (["interrupted", "running", None], True),
        ([], True),
    ],
)
def test_completed_is_added_unless_the_provider_said_so(
    user: Client,
    provider: ProviderProcess,
    thread_id: str,
    model: str,
    *,
    statuses: list[Any],
    is_added: bool,
) -> None:
    sent = [chunk("a") if status is None else chunk("a", agent_status=status) for status in statuses]
    provider.script(model, sse(*sent))
    body = user.stream_text(thread_id, model=model)

    added = [status_payload(thread_id, "completed", "stop")] if is_added else []
    assert payloads(body)[2:] == [*sent, *added, DONE]
    assert [message["status"] for message in user.messages(thread_id)] == ["ready", "ready"]


def test_a_failure_ends_in_failed_the_error_and_done(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    first, error = chunk("Half"), {"message": 'Over\nloaded "now" — ж', "type": "agent_error"}
    provider.script(model, sse(first, json.dumps({"error": {"message": error["message"], "code": 1}})))
    body = user.stream_text(thread_id, model=model)

    *start, failed, last, done = payloads(body)
    assert start == [status_payload(thread_id, "queued"), status_payload(thread_id, "running"), first]
    assert (failed, done) == (status_payload(thread_id, "failed", "error"), DONE)
    assert json.loads(last) == {"error": error}
    answer, question = user.messages(thread_id)
    assert (answer["text"], answer["status"], question["status"]) == ("Half", "error", "error")


def test_a_fault_of_ours_is_an_internal_error_without_inner_detail(
    restless: Client, provider: ProviderProcess, model: str
) -> None:
    files = {"attachments": [{"filename": "a.txt", "data": "YQ=="}]}
    provider.script(model, sse(chunk("Half"), chunk(message_metadata=files)))
    thread_id = restless.new_thread()["id"]
    body = restless.stream_text(thread_id, model=model)

    *_, failed, error, done = payloads(body)
    assert (failed, done) == (status_payload(thread_id, "failed", "error"), DONE)
    assert json.loads(error) == {"error": {"message": "Internal error", "type": "internal_error"}}
    response = restless.send_message(thread_id, model=model)
    assert (response.status_code, response.json()) == (500, {"detail": "Internal Server Error"})
    stored = json.dumps(restless.messages(thread_id))
    assert not any(word in body + stored for word in ("Traceback", "Errno", "storage"))


def test_a_refusal_by_the_provider_is_still_a_stream(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, plain_error("No", 401))

    assert chunks(user.stream_text(thread_id, model=model))[-1] == {
        "error": {"message": "No", "type": "agent_error"}
    }


# --- readers who leave -------------------------------------------------------------------


@pytest.mark.parametrize("before_headers", [True, False])
def test_an_answer_outlives_its_reader(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, *, before_headers: bool
) -> None:
    script = text_stream("One ", "two") if before_headers else text_stream("One ", WaitFor(model), "two")
    provider.script(model, script.held(model) if before_headers else script)
    with user.streaming(thread_id, model=model) as response:
        run_id = response.headers["x-run-id"]
        provider.wait_until_held(model)
    provider.open_gate(model)

    assert f"data: {DONE}" in user.get(f"/api/runs/{run_id}/events").text
    answer, question = user.messages(thread_id)
    assert (answer["text"], answer["status"], question["status"]) == ("One two", "ready", "ready")
    assert provider.wait_for_finish(model)


def test_an_answer_outlives_who_waits_for_it_in_one_piece(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("Whole answer").held(model), text_stream("Next"))
    body = json.dumps({"text": "Hi", "model": model})
    url = user.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=10) as peer:
        head = (
            f"POST /api/threads/{thread_id}/messages HTTP/1.1\r\nHost: {url.host}\r\n"
            f"Authorization: {user.headers['authorization']}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        peer.sendall((head + body).encode())
        provider.wait_until_held(model)
    provider.open_gate(model)

    user.send_message(thread_id, "Next?")  # answered once the one before is
    told = [message["text"] for message in user.messages(thread_id)]
    # The first answer may be stored before or after the second question.
    assert (told[0], sorted(told[1:3]), told[3]) == ("Next", ["Next?", "Whole answer"], "Hi")
