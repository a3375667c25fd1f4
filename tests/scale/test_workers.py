"""`serve --workers`: one address, several processes; each can be replaced, under load, too."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from api.workers import MOST_FAILED
from tests.clients import Client
from tests.postgresql import postgresql
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.runs.following import cancel, ended, events, poll, start, text_of
from tests.scale.conftest import Engines, engines_in
from tests.servers import ServerProcess
from tests.valkey import valkey

WORKERS = 2


@contextmanager
def new_workers(shared: Engines, directory: Path, provider: ProviderProcess) -> Iterator[ServerProcess]:
    """A server of several processes, all of which serve."""
    arguments = ["--workers", str(WORKERS)]
    with ServerProcess(directory, f"{provider.base_url}/v1", shared.settings, arguments) as server:
        poll(lambda: len(workers(server)) == WORKERS, "not all processes serve")
        yield server


@pytest.fixture(scope="module")
def server(
    engines: Engines, provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with new_workers(engines, tmp_path_factory.mktemp("workers"), provider) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with server.admin() as client:
        yield client


def workers(server: ServerProcess) -> list[int]:
    """The processes that serve, by their own word, and live."""
    said = [line["event"] for line in server.log_lines() if "Started server process" in line["event"]]
    pids = [int(event.partition("[")[2].rstrip("]")) for event in said]
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def fresh(client: Client) -> Client:
    """A client on a connection of its own, which any process may take."""
    other = Client(str(client.base_url))
    other.headers["Authorization"] = client.headers["Authorization"]
    return other


def start_on_all(server: ServerProcess, client: Client, model: str) -> dict[str, str]:
    """Runs by their threads, of which every process writes one at least."""
    started: dict[str, str] = {}
    with psycopg.connect(server.database_url, autocommit=True) as database:
        writers = "SELECT DISTINCT lease_owner FROM runs WHERE finished_at IS NULL"
        while len(database.execute(writers).fetchall()) < WORKERS:
            thread_id = client.new_thread()["id"]
            with fresh(client) as other:  # which any of them may take
                started[thread_id] = start(other, thread_id, model=model)
    return started


def test_whoever_takes_the_connection_tells_and_ends_every_answer(
    client: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("First", WaitFor(model), " second"))
    stopped = start(client, client.new_thread()["id"], model=model)
    run_id = start(client, client.new_thread()["id"], model=model)
    provider.wait_until_held(model, 2)
    with fresh(client) as one, fresh(client) as two, fresh(client) as three:
        assert cancel(one, stopped).json()["status"] == "cancelled"
        provider.open_gate(model)
        assert {text_of(events(reader, run_id)) for reader in (one, two, three)} == {"First second"}


def test_a_process_that_dies_is_replaced(server: ServerProcess, client: Client) -> None:
    before = set(workers(server))
    victim = before.pop()
    os.kill(victim, signal.SIGKILL)
    poll(lambda: victim not in workers(server) and len(workers(server)) == WORKERS, "not replaced")
    assert server.wait_for_log(event="worker died", pid=victim)
    with fresh(client) as other:
        assert other.get("/api/auth/me").status_code == 200


def test_all_processes_are_replaced_under_load_and_no_answer_breaks(
    server: ServerProcess, client: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model), " more"))
    held = [start(client, client.new_thread()["id"], model=model) for _ in range(6)]
    provider.wait_until_held(model, len(held))
    before, over = set(workers(server)), threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        while not over.is_set():
            with fresh(client) as other:  # as a proxy does that keeps no connections
                statuses.append(other.get("/api/threads").status_code)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            server.send_signal(signal.SIGHUP)
            poll(lambda: len(set(workers(server)) - before) == 1, "no new process")
            provider.open_gate(model)
            poll(lambda: not before & set(workers(server)), "old processes stay", 60)
        finally:
            over.set()
        for work in asking:
            work.result()

    assert set(statuses) == {200}
    assert len(workers(server)) == WORKERS
    with fresh(client) as other:
        assert [ended(other, run_id)["status"] for run_id in held] == ["completed"] * len(held)
        assert {text_of(events(other, run_id)) for run_id in held} == {"Some more"}


def test_all_end_with_the_one_that_started_them(
    engines: Engines, provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("orphans")
    arguments = ["--workers", str(WORKERS)]
    server = ServerProcess(directory, f"{provider.base_url}/v1", engines.settings, arguments).start()
    poll(lambda: len(workers(server)) == WORKERS, "not all processes serve")
    pids = workers(server)
    server.send_signal(signal.SIGKILL)
    poll(lambda: not any(is_alive(pid) for pid in pids), "orphans live on")
    server.kill()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_process_that_dies_while_an_engine_is_away_costs_the_others_nothing(
    provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model), " more"))
    with postgresql() as database_url, valkey() as broker:
        shared = engines_in(tmp_path, database_url, broker.url)
        with new_workers(shared, tmp_path, provider) as server, server.admin() as client:
            held = start_on_all(server, client, model)
            provider.wait_until_held(model, len(held))
            broker.kill()
            victim, survivor = workers(server)
            os.kill(victim, signal.SIGKILL)
            poll(lambda: failed_starts(server) >= MOST_FAILED, "it is tried again and again", 60)
            assert is_alive(survivor)
            provider.open_gate(model)
            broker.start()
            poll(lambda: len(workers(server)) == WORKERS, "it is replaced", 60)
            with fresh(client) as other:
                assert "completed" in [ended(other, run_id)["status"] for run_id in held.values()]


def failed_starts(server: ServerProcess) -> int:
    return sum(line["event"] == "worker died" for line in server.log_lines())


def test_who_is_told_to_end_while_processes_are_replaced_ends_with_its_answers(
    engines: Engines, provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model), " more"))
    with new_workers(engines, tmp_path, provider) as server:
        with server.admin() as client:
            thread_ids = start_on_all(server, client, model)
        provider.wait_until_held(model, len(thread_ids))
        before = set(workers(server))
        server.send_signal(signal.SIGHUP)
        poll(lambda: len(set(workers(server)) - before) == 1, "no new process")
        server.wait_for_log(event="draining")
        (new,) = set(workers(server)) - before
        server.send_signal(signal.SIGTERM)
        poll(lambda: not is_alive(new), "who has nothing to write stays")
        provider.open_gate(model)
        assert server.wait() == 0
        assert "restart given up: the new process does not serve" not in events_of(server)
    with new_workers(engines, tmp_path, provider) as again, again.admin() as client:
        texts = {client.messages(thread_id)[0]["text"] for thread_id in thread_ids}
    assert texts == {"Some more"}


def test_a_process_that_dies_while_another_is_replaced_is_known_to_the_end(
    engines: Engines, provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model), " more"))
    with new_workers(engines, tmp_path, provider) as server:
        with server.admin() as client:
            start_on_all(server, client, model)
        before = set(workers(server))
        server.send_signal(signal.SIGHUP)
        server.wait_for_log(event="draining")
        os.kill(max(before), signal.SIGKILL)  # started last, so it would be replaced last
        poll(lambda: failed_starts(server) == 1, "nobody notices")
        provider.open_gate(model)
        poll(lambda: not before & set(workers(server)), "old processes stay", 60)
        poll(lambda: len(workers(server)) == WORKERS, "not all processes serve")
        assert server.stop() == 0
        assert workers(server) == []


def events_of(server: ServerProcess) -> list[str]:
    return [line["event"] for line in server.log_lines()]
