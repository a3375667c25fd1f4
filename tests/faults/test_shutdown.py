"""SIGTERM: running answers finish while their readers listen, or say that they could not; nothing is lost."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.clients import DONE, Client
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.runs.following import cancel, ended, events, poll, run, start, statuses, text_of
from tests.servers import ServerProcess

STOPPED = "The server stopped while this answer was being written; what had arrived was kept"
REFUSED = -1


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Databases that the tests share: a first account costs more than a start."""
    return {name: tmp_path_factory.mktemp(name) for name in ("patient", "hasty")}


@pytest.fixture
def patient(provider: ProviderProcess, directories: dict[str, Path]) -> Iterator[ServerProcess]:
    """A server with more grace than any test needs."""
    with ServerProcess(directories["patient"], f"{provider.base_url}/v1") as server:
        yield server


@pytest.fixture
def hasty(provider: ProviderProcess, directories: dict[str, Path]) -> Iterator[ServerProcess]:
    """A server that gives running answers half a second."""
    settings = {"CHAT_SHUTDOWN_GRACE_SECONDS": "0.5"}
    with ServerProcess(directories["hasty"], f"{provider.base_url}/v1", settings) as server:
        yield server


def status_of(client: httpx.Client, path: str) -> int:
    """The status of a GET over a connection of its own, or REFUSED."""
    try:
        return httpx.get(str(client.base_url.join(path)), headers=client.headers).status_code
    except httpx.TransportError:
        return REFUSED


def stored_files(server: ServerProcess) -> int:
    """How many attachments are stored."""
    return sum(file.is_file() for file in (server.directory / "storage").rglob("*"))


def begin_to_stop(server: ServerProcess, client: Client) -> None:
    """SIGTERM, and return once the server takes no new work."""
    server.send_signal(signal.SIGTERM)
    poll(lambda: status_of(client, "/health/ready") in (503, REFUSED), "still taking work")


def restarted(server: ServerProcess) -> Client:
    """A client of the server's next life; the one before must have ended well."""
    assert server.wait() == 0
    server.stop()
    return server.start().admin()


def test_running_answers_finish_while_their_readers_listen(
    patient: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Going ", WaitFor(model), "on"))
    with patient.admin() as client, ThreadPoolExecutor(3) as pool:
        threads = [client.new_thread()["id"] for _ in range(3)]
        run_id = start(client, threads[0], model=model)
        reader = pool.submit(events, client, run_id)
        stream = pool.submit(client.stream_text, threads[1], model=model)
        send = pool.submit(client.send_message, threads[2], model=model)
        provider.wait_until_held(model, 3)
        begin_to_stop(patient, client)
        provider.open_gate(model)

        assert text_of(reader.result()) == "Going on"
        assert "completed" in statuses(reader.result()[:-1])
        assert stream.result().endswith(f"data: {DONE}\n\n")
        assert (send.result().status_code, send.result().json()["status"]) == (201, "ready")
    with restarted(patient) as client:
        assert [client.messages(thread_id)[0]["text"] for thread_id in threads] == ["Going on"] * 3


def test_a_proxy_has_time_to_notice_before_anything_is_refused(
    provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    settings = {"CHAT_SHUTDOWN_DELAY_SECONDS": "3", "CHAT_SEARCH_ENABLED": "false"}
    with ServerProcess(tmp_path, f"{provider.base_url}/v1", settings) as server, server.admin() as client:
        thread_id = client.new_thread()["id"]
        server.send_signal(signal.SIGTERM)
        poll(lambda: status_of(client, "/health/ready") == 503, "the proxy is not told")
        assert status_of(client, "/api/threads") == 200
        assert client.send_message(thread_id, "Late", model=model).status_code == 201
        assert server.wait() == 0


def test_answers_that_need_longer_are_saved_and_say_why_they_ended(
    hasty: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Saved", WaitFor(model)), text_stream("Next"))
    with hasty.admin() as client, ThreadPoolExecutor(2) as pool:
        threads = [client.new_thread()["id"] for _ in range(2)]
        provider.script(f"{model} 2", text_stream("Saved", WaitFor(model)))
        run_id = start(client, threads[0], model=model)
        reader = pool.submit(events, client, run_id)
        send = pool.submit(client.send_message, threads[1], model=f"{model} 2")
        provider.wait_until_held(model, 2)
        hasty.send_signal(signal.SIGTERM)
        told = reader.result()

        assert text_of(told) == "Saved"
        assert statuses(told[-3:-2]) == ["failed"]
        assert told[-2].json == {"error": {"message": STOPPED, "type": "internal_error"}}
        assert (send.result().status_code, send.result().json()) == (503, {"detail": STOPPED})
    provider.wait_for_close(model)
    with restarted(hasty) as client:
        assert run(client, run_id)["error"] == STOPPED
        for thread_id in threads:
            answer, question = client.messages(thread_id)
            assert (answer["text"], answer["status"], question["status"]) == ("Saved", "error", "error")
        assert client.send_message(threads[0], model=model).status_code == 201


def test_a_server_that_stops_takes_no_new_work(
    patient: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream(WaitFor(model), "Last"))
    with patient.admin() as client, ThreadPoolExecutor(1) as pool:
        thread_id = client.new_thread()["id"]
        last = pool.submit(client.send_message, thread_id, model=model)
        provider.wait_until_held(model)
        begin_to_stop(patient, client)

        url = str(client.base_url.join(f"/api/threads/{thread_id}/messages"))
        for _ in range(3):
            try:
                answer = httpx.post(url, json={"text": "Late"}, headers=client.headers)
            except httpx.TransportError:
                continue
            assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert status_of(client, "/health/ready") in (503, REFUSED)
        provider.open_gate(model)
        assert last.result().status_code == 201
    with restarted(patient) as client:
        assert len(client.messages(thread_id)) == 2


def test_queued_answers_go_on_after_the_restart(
    hasty: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Saved", WaitFor(model)), text_stream("Second"), text_stream("Third"))
    with hasty.admin() as client:
        thread_id = client.new_thread()["id"]
        runs = [start(client, thread_id, text, model=model) for text in ("1", "2", "3")]
        provider.wait_until_held(model)
        hasty.send_signal(signal.SIGTERM)
    with restarted(hasty) as client:
        assert [ended(client, run_id)["status"] for run_id in runs] == ["failed", "completed", "completed"]
        stored = [item["text"] for item in client.messages(thread_id)]
    assert stored == ["Third", "Second", "Saved", "3", "2", "1"]


def test_a_send_that_is_being_stored_is_still_answered(
    patient: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("In time"))
    with patient.admin() as client, ThreadPoolExecutor(1) as pool:
        thread_id = client.new_thread()["id"]
        path = patient.directory / "app.db"
        before = stored_files(patient)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            file = {"filename": "a.txt", "data_base64": "aGVsbG8="}
            send = pool.submit(client.send_message, thread_id, model=model, attachments=[file])
            # Its file is stored last before the message is: now the send waits for the lock.
            poll(lambda: stored_files(patient) > before, "the send has not come")
            begin_to_stop(patient, client)
            other.execute("ROLLBACK")

        assert send.result().status_code == 201
        assert patient.wait() == 0


def test_sends_under_way_when_the_server_stops_are_answered_in_full(
    patient: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Answer ", "in full"))
    with patient.admin() as client, ThreadPoolExecutor(8) as pool:
        threads = [client.new_thread()["id"] for _ in range(8)]

        def send_on(thread_id: str) -> list[int]:
            """Send until the server refuses; the statuses."""
            told: list[int] = []
            try:
                while not told or told[-1] == 201:
                    told.append(client.send_message(thread_id, model=model).status_code)
            except httpx.TransportError:
                told.append(REFUSED)
            return told

        senders = [pool.submit(send_on, thread_id) for thread_id in threads]
        provider.wait_for_finish(model, n=50)
        patient.send_signal(signal.SIGTERM)
        told = [sender.result() for sender in senders]
    assert {statuses_[-1] for statuses_ in told} <= {503, REFUSED}
    with restarted(patient) as client:
        for thread_id, answers in zip(threads, told, strict=True):
            newest = client.messages(thread_id, limit=2)
            assert {item["status"] for item in newest} == {"ready"}
            assert answers.count(201) >= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once_with_status_0(patient: ServerProcess, number: signal.Signals) -> None:
    since = time.monotonic()
    patient.send_signal(number)

    assert patient.wait() == 0
    assert time.monotonic() - since < 15


def test_a_second_server_on_the_same_file_is_refused_in_one_sentence(
    patient: ServerProcess, provider: ProviderProcess, tmp_path: Path
) -> None:
    settings = {"CHAT_DATABASE_URL": f"sqlite:///{patient.directory / 'app.db'}"}
    second = ServerProcess(tmp_path, f"{provider.base_url}/v1", settings)

    with pytest.raises(AssertionError):
        second.start()

    assert second.wait() == 2
    (line,) = second.log_file.read_text(encoding="utf-8").splitlines()
    assert line.startswith("gwp-chat: CHAT_DATABASE_URL: another gwp-chat server is working on")
    with patient.admin() as client:
        assert client.send_message(client.new_thread()["id"], model="echo").status_code == 201
    patient.stop()
    second.start()
    assert second.stop() == 0


def test_a_cancelled_answer_does_not_hold_up_the_end(
    patient: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model)))
    with patient.admin() as client, ThreadPoolExecutor(1) as pool:
        run_id = start(client, client.new_thread()["id"], model=model)
        reader = pool.submit(events, client, run_id)
        provider.wait_until_held(model)
        cancel(client, run_id)
        patient.send_signal(signal.SIGTERM)
        assert statuses(reader.result()[:-1])[-1] == "cancelled"
        assert patient.wait() == 0


def test_streams_that_would_never_end_do_not_hold_up_the_stop(
    provider: ProviderProcess, tmp_path: Path
) -> None:
    settings = {"CHAT_SHUTDOWN_GRACE_SECONDS": "3600"}
    accept = {"Accept": "text/event-stream"}
    query = "subscription { threadsChanged { __typename } }"
    with (
        ServerProcess(tmp_path, f"{provider.base_url}/v1", settings) as server,
        server.admin() as client,
    ):
        token = {"X-GraphQL-Event-Stream-Token": client.put("/graphql").text}
        with (
            client.stream("POST", "/graphql", headers=accept, json={"query": query}) as changes,
            client.stream("GET", "/graphql", headers=accept | token) as shared,
        ):
            lines = changes.iter_lines()
            assert any("ThreadsCaughtUp" in line for line in lines)
            assert shared.status_code == 200
            server.send_signal(signal.SIGTERM)
            assert "event: complete" in list(lines)
            shared.read()
            assert server.wait() == 0
