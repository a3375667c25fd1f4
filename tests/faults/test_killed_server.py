"""kill -9 in mid-answer: what was saved is kept, every run says what became of it, the thread goes on."""

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from core.db.engines import database_url, writer_engine
from core.db.models import RunRow, now
from core.db.session import Database
from core.ids import new_id
from core.runs.reaper import reap
from tests.clients import DONE, Client
from tests.postgresql import postgresql
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, chunk, sse, text_stream
from tests.runs.following import ended, events, following, poll, run, start, statuses, text_of
from tests.servers import ServerProcess

STOPPED = "The server stopped while this answer was being written; what had arrived was kept"


@pytest.fixture(scope="module")
def server(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that saves often and writes two answers at a time; each test kills and restarts it."""
    settings = {"CHAT_CHECKPOINT_SECONDS": "0.1", "CHAT_MAX_CONCURRENT_RUNS": "2"}
    with ServerProcess(tmp_path_factory.mktemp("killed"), f"{provider.base_url}/v1", settings) as process:
        yield process


def query(server: ServerProcess, sql: str, *values: Any) -> list[Any]:
    """Rows of the server's database, read from outside."""
    with closing(sqlite3.connect(f"file:{server.directory / 'app.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, values).fetchall()


def wait_until_saved(server: ServerProcess, run_id: str, text: str) -> None:
    """Return once a checkpoint has saved this text."""
    sql = "SELECT text FROM run_parts WHERE run_id = ? ORDER BY seq"
    key = run_id.replace("-", "")
    poll(lambda: "".join(row[0] for row in query(server, sql, key)) == text, "no checkpoint")


def restart(server: ServerProcess) -> Client:
    server.kill()
    return server.start().admin()


def test_the_text_of_the_last_checkpoint_is_kept_and_the_run_says_what_happened(
    server: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("One, ", "two, ", WaitFor(model)), text_stream("three"))
    with server.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id = start(client, thread_id, "Count", model=model)
        with following(client, run_id) as frames:
            cursor = next(frame.cursor for frame in frames if text_of([frame]) == "One, ")
        wait_until_saved(server, run_id, "One, two, ")
    with restart(server) as client:
        found = run(client, run_id)
        answer, question = client.messages(thread_id)
        told = events(client, run_id, after=cursor)
        again = client.send_message(thread_id, "Go on")

    assert (found["status"], found["error_code"], found["error"]) == ("failed", "SERVER_STOPPED", STOPPED)
    assert found["assistant_message_id"] == answer["id"]
    assert (answer["text"], answer["status"], answer["error_code"]) == ("One, two, ", "error", STOPPED)
    assert (question["text"], question["status"], question["error_code"]) == ("Count", "error", STOPPED)
    assert told[0].json == {"text": "One, two, ", "status": "failed"}
    assert statuses(told[1:2]) == ["failed"]
    assert told[2].json == {"error": {"message": STOPPED, "type": "internal_error"}}
    assert again.status_code == 201
    said = [message["content"] for message in provider.requests(model)[1].json["messages"]]
    assert said == ["Count", "One, two, ", "Go on"]


def test_a_run_killed_before_its_first_word_has_no_answer(
    server: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Never").held(model), text_stream("Now"))
    with server.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id = start(client, thread_id, model=model)
        provider.wait_until_held(model)
    with restart(server) as client:
        found = run(client, run_id)
        (question,) = client.messages(thread_id)
        told = events(client, run_id)

        assert (found["status"], found["assistant_message_id"]) == ("failed", None)
        assert (question["status"], question["error_code"]) == ("error", STOPPED)
        assert (text_of(told), told[-3].status) == ("", "failed")
        assert client.send_message(thread_id).status_code == 201


def test_a_secret_that_waited_is_asked_for_again_and_was_never_stored(
    server: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    form = {"question": "Password?", "fields": [{"name": "password", "format": "password"}]}
    asks = sse(chunk(agent_status="interrupted", interrupt_payload=form))
    provider.script(model, asks, text_stream("Thank you"))
    other = f"{model}-other"
    provider.script(other, text_stream("Held", WaitFor(other)))
    with server.admin() as client:
        thread_id = client.new_thread()["id"]
        ended(client, start(client, thread_id, model=model))
        for _ in range(2):
            start(client, client.new_thread()["id"], model=other)
        provider.wait_until_held(other, 2)
        run_id = start(client, thread_id, "correct horse")
        assert run(client, run_id)["status"] == "queued"
    with restart(server) as client:
        assert run(client, run_id)["status"] == "failed"
        assert client.send_message(thread_id, "battery staple").status_code == 201
        texts = [item["text"] for item in client.messages(thread_id) if item["sender_type"] == "user"]

    assert texts == ["\N{BULLET}" * 8] * 2 + ["Hi"]
    assert provider.requests(model)[1].json["messages"][-1]["content"] == "battery staple"
    files = b"".join(path.read_bytes() for path in server.directory.glob("app.db*"))
    assert b"correct horse" not in files
    assert b"battery staple" not in files


def test_no_send_that_was_answered_is_lost_however_the_server_dies(
    server: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Answer", usage=(1, 1)))
    with server.admin() as client:
        threads = [client.new_thread()["id"] for _ in range(4)]

        def send(number: int) -> bool:
            try:
                answer = client.send_message(threads[number % 4], f"{number}", model=model)
            except httpx.TransportError:
                return False
            assert answer.status_code == 201, answer.text
            return True

        with ThreadPoolExecutor(12) as pool:
            sent = [pool.submit(send, number) for number in range(200)]
            provider.wait_for_finish(model, n=40)
            server.kill()
            answered = {f"{number}" for number, future in enumerate(sent) if future.result()}
    with server.start().admin() as client:
        for thread_id in threads:
            assert client.send_message(thread_id, "after", model=model).status_code == 201
        check_history(client, threads, answered)
    assert query(server, "PRAGMA integrity_check") == [("ok",)]
    assert query(server, "SELECT count(*) FROM runs WHERE finished_at IS NULL") == [(0,)]
    dense = "SELECT thread_id FROM messages GROUP BY thread_id HAVING max(position) != count(*)"
    assert query(server, dense) == []


def check_history(client: Client, threads: list[str], answered: set[str]) -> None:
    """Every message is answered, or says that it is not; those that were told so are answered."""
    assert answered
    found: set[str] = set()
    for thread_id in threads:
        messages = [item for page in (1, 2, 3) for item in client.messages(thread_id, page=page, limit=100)]
        assert {item["status"] for item in messages} <= {"ready", "error"}
        ready = {item["text"] for item in messages if item["status"] == "ready"}
        found |= ready
        assert "after" in ready
    assert answered <= found


def test_a_run_that_another_process_gave_up_for_dead_ends_for_its_readers_too(
    server: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    """Its writer was only asleep: it lets the provider go, and what waits behind it goes on."""
    provider.script(model, text_stream("Some", WaitFor(model)), text_stream("Next"))
    with server.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id, next_id = (start(client, thread_id, model=model) for _ in range(2))
        provider.wait_until_held(model)
        wait_until_saved(server, run_id, "Some")
        with following(client, run_id) as frames:
            reap_from_outside(server)
            told = list(frames)
        provider.wait_for_close(model)

        assert text_of(told) == "Some"
        assert statuses(told[-3:-2]) == ["failed"]
        assert told[-1].data == DONE
        assert ended(client, next_id)["status"] == "completed"
        assert [item["text"] for item in client.messages(thread_id)] == ["Next", "Some", "Hi", "Hi"]


def test_what_waits_behind_a_dead_run_goes_on_when_its_lease_is_over(
    provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    """Where other processes may write the same database, a run is dead only when its lease is over."""
    provider.script(model, text_stream("Some", WaitFor(model)), text_stream("Next"))
    with postgresql() as url, server_on(url, provider, tmp_path) as server:
        with server.admin() as client:
            thread_id = client.new_thread()["id"]
            runs = [start(client, thread_id, model=model) for _ in range(2)]
            provider.wait_until_held(model)
        with restart(server) as client:
            assert client.get(f"/api/runs/{runs[0]}/events").status_code == 503
            assert run(client, runs[1])["status"] == "queued"
            end_leases(url)
            assert ended(client, runs[1])["status"] == "completed"
            assert run(client, runs[0])["status"] == "failed"


def server_on(url: str, provider: ProviderProcess, directory: Path) -> ServerProcess:
    return ServerProcess(directory, f"{provider.base_url}/v1", {"CHAT_DATABASE_URL": url})


def end_leases(url: str) -> None:
    """Let the time pass that a dead process's runs have."""
    engine = writer_engine(database_url(url))
    with engine.begin() as connection:
        connection.execute(update(RunRow).values(lease_expires_at=now()))
    engine.dispose()


def reap_from_outside(server: ServerProcess) -> None:
    """What another process does when it finds the leases of a dead one."""
    database = Database(f"sqlite:///{server.directory / 'app.db'}")
    try:
        assert len(asyncio.run(reap(database, new_id(), lease_counts=False))) == 1
    finally:
        database.close()
