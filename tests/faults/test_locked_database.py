"""A database that takes nothing for a while: answers go on, and what could not be saved is saved later."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.runs.following import following, poll, run, start, text_of
from tests.servers import ServerProcess

CHECKPOINT_SECONDS = 0.1


@pytest.fixture(scope="module")
def own(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that saves often."""
    settings = {"CHAT_CHECKPOINT_SECONDS": str(CHECKPOINT_SECONDS)}
    with ServerProcess(tmp_path_factory.mktemp("own"), f"{provider.base_url}/v1", settings) as server:
        yield server


@contextmanager
def locked(server: ServerProcess) -> Iterator[None]:
    """Another process that keeps the write lock."""
    connection = sqlite3.connect(server.directory / "app.db", timeout=20, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def saved(server: ServerProcess, run_id: str) -> str:
    """The text that checkpoints have saved of the run."""
    connection = sqlite3.connect(server.directory / "app.db", timeout=20)
    try:
        rows = connection.execute(
            "SELECT text FROM run_parts WHERE run_id = ? ORDER BY seq", (run_id.replace("-", ""),)
        ).fetchall()
    finally:
        connection.close()
    return "".join(text for (text,) in rows)


def test_streaming_goes_on_while_nothing_can_be_saved_and_checkpoints_catch_up(
    own: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    last = f"{model} last"
    provider.script(model, text_stream("before ", WaitFor(model), "meanwhile ", WaitFor(last), "after"))
    with own.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id = start(client, thread_id, model=model)
        with following(client, run_id) as frames:
            told = [next(frame for frame in frames if text_of([frame]) == "before ")]
            with locked(own):
                provider.open_gate(model)
                told.append(next(frame for frame in frames if text_of([frame]) == "meanwhile "))
                assert "meanwhile" not in saved(own, run_id)
                assert run(client, run_id)["status"] in ("running", "streaming")
            poll(lambda: saved(own, run_id) == "before meanwhile ", "a checkpoint after the lock")
            provider.open_gate(last)
            told += list(frames)
        assert text_of(told) == "before meanwhile after"
        (answer, _) = client.messages(thread_id)
        assert (answer["text"], answer["status"]) == ("before meanwhile after", "ready")


def test_nobody_is_told_of_an_end_that_is_not_saved(
    own: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("all ", WaitFor(model), "of it"))
    with own.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id = start(client, thread_id, model=model)
        with following(client, run_id) as frames:
            with locked(own):
                provider.open_gate(model)
                provider.wait_for_finish(model)
                told = [next(frame for frame in frames if text_of([frame]) == "of it")]
                assert run(client, run_id)["status"] in ("running", "streaming")
                assert [message["sender_type"] for message in client.messages(thread_id)] == ["user"]
            told += list(frames)
        assert told[-2].status == "completed"
        assert run(client, run_id)["status"] == "completed"
        assert client.messages(thread_id)[0]["text"] == "all of it"
