"""Readers that leave and answers that are stopped, over and over: nothing of them stays behind."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import Namespace, ProviderProcess
from tests.provider.script import Cut, WaitFor, plain_error, text_stream
from tests.runs.following import cancel, ended, events, following, poll, run_id_of, start, text_of
from tests.servers import ServerProcess

TIMES = 100
PLACES = 8
SEND = """mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) { ... on SendMessageSuccess { run { id } } } }"""


@pytest.fixture(scope="module")
def own(provider: ProviderProcess) -> Iterator[Namespace]:
    """A namespace whose connections are those of this module's server alone."""
    with provider.namespace() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def server(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that would soon run out of room if anything stayed behind."""
    settings = {"CHAT_MAX_CONCURRENT_RUNS": str(PLACES), "CHAT_RUN_RETENTION_SECONDS": "0"}
    with ServerProcess(tmp_path_factory.mktemp("leaks"), f"{own.base_url}/v1", settings) as process:
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with server.admin() as client:
        yield client


def descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def warm_up(server: ServerProcess, client: Client, own: Namespace) -> int:
    """Open what a server keeps open; how many descriptors it may have when nothing stays behind."""
    name = unique("warm")
    own.script(name, text_stream(WaitFor(name), "Warm"))
    runs = [start(client, client.new_thread()["id"], model=name) for _ in range(PLACES)]
    own.wait_until_held(name, PLACES)
    own.open_gate(name)
    with ThreadPoolExecutor(PLACES) as pool:
        assert {found["status"] for found in pool.map(lambda run_id: ended(client, run_id), runs)} == {
            "completed"
        }
    return descriptors(server) + TIMES // 4


def settle(server: ServerProcess, own: Namespace, room: int) -> None:
    """Return once the provider's connections are given back and so are the server's descriptors."""
    poll(lambda: own.connections().open <= PLACES, "connections to the provider stay open")
    poll(lambda: descriptors(server) <= room, "descriptors stay open")


def test_a_hundred_stopped_answers_leave_nothing_behind(
    server: ServerProcess, client: Client, own: Namespace, model: str
) -> None:
    room = warm_up(server, client, own)
    own.script(model, text_stream("Some", WaitFor("never")))
    thread_id = client.new_thread()["id"]
    for number in range(TIMES):
        run_id = start(client, thread_id, model=model)
        if number % 2:
            with following(client, run_id) as frames:
                next(frame for frame in frames if text_of([frame]) == "Some")
        assert cancel(client, run_id).json()["status"] == "cancelled"

    settle(server, own, room)
    assert client.send_message(thread_id, model="echo").status_code == 201


def test_a_hundred_abandoned_streams_leave_nothing_behind(
    server: ServerProcess, client: Client, own: Namespace, model: str
) -> None:
    room = warm_up(server, client, own)
    own.script(model, text_stream("Some", WaitFor(model), " more"))
    threads = [client.new_thread()["id"] for _ in range(PLACES)]
    runs = [start(client, thread_id, model=model) for thread_id in threads]
    own.wait_until_held(model, len(threads))
    for number in range(TIMES):
        with following(client, runs[number % PLACES]) as frames:
            for _ in range(number % 3):
                next(frames)
    own.open_gate(model)

    assert [ended(client, run_id)["status"] for run_id in runs] == ["completed"] * len(runs)
    settle(server, own, room)
    for thread_id in threads:
        assert client.messages(thread_id)[0]["text"] == "Some more"
        assert client.send_message(thread_id, model="echo").status_code == 201


def test_a_hundred_failed_answers_leave_nothing_behind(
    server: ServerProcess, client: Client, own: Namespace, model: str
) -> None:
    room = warm_up(server, client, own)
    failures = (plain_error("No", 500), text_stream("Some").then(Cut()), plain_error("No", 429))
    own.script(model, *(failures[number % 3] for number in range(TIMES)))
    threads = [client.new_thread()["id"] for _ in range(PLACES)]
    with ThreadPoolExecutor(PLACES) as pool:
        sends = pool.map(
            lambda number: client.send_message(threads[number % PLACES], model=model).status_code,
            range(TIMES),
        )
        assert set(sends) <= {201, 502}

    settle(server, own, room)
    assert client.send_message(threads[0], model="echo").status_code == 201


def wander(client: Client, threads: list[str], model: str, seed: int) -> None:
    """Send, leave, stop and come back at random, as impatient users do."""
    random = Random(seed)
    for _ in range(12):
        try:
            with client.streaming(random.choice(threads), model=model) as response:
                if response.status_code == 429:
                    response.read()
                    continue
                run_id = run_id_of(response)
                for _ in zip(response.iter_lines(), range(random.randint(0, 8)), strict=False):
                    pass
        except httpx.RemoteProtocolError:  # behind a log that was trimmed or dropped
            continue
        match random.randint(0, 3):
            case 0:
                assert cancel(client, run_id).status_code == 200
            case 1:
                events(client, run_id)


def test_impatient_users_of_a_narrow_server_leave_no_run_behind(
    server: ServerProcess, client: Client, own: Namespace, model: str
) -> None:
    room = warm_up(server, client, own)
    own.script(model, text_stream(*["A", "few", "words,", "a", "letter", "at", "a", "time"]))
    threads = [client.new_thread()["id"] for _ in range(5)]
    with ThreadPoolExecutor(16) as pool:
        for job in [pool.submit(wander, client, threads, model, seed) for seed in range(16)]:
            job.result()

    for thread_id in threads:
        assert client.send_message(thread_id, "last", model="echo").status_code == 201
    with closing(sqlite3.connect(f"file:{server.directory / 'app.db'}?mode=ro", uri=True)) as database:
        unfinished = database.execute("SELECT count(*) FROM runs WHERE finished_at IS NULL").fetchone()
        parts = database.execute("SELECT count(*) FROM run_parts").fetchone()
    assert (unfinished, parts) == ((0,), (0,))
    settle(server, own, room)


def test_a_mutation_whose_socket_closes_while_it_is_stored_is_answered_all_the_same(
    server: ServerProcess, client: Client
) -> None:
    thread_id = client.new_thread()["id"]
    wanted = {"threadId": thread_id, "text": "Hi", "model": "echo"}
    begin = {"type": "connection_init", "payload": {"Authorization": client.headers["Authorization"]}}
    ask = {"type": "subscribe", "id": "1", "payload": {"query": SEND, "variables": {"input": wanted}}}
    url = str(client.base_url.copy_with(scheme="ws", path="/graphql"))
    with closing(sqlite3.connect(server.directory / "app.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            socket.send(json.dumps(begin))
            socket.recv()
            socket.send(json.dumps(ask))
            for _ in range(10):
                client.get("/api/auth/me")  # by now the mutation waits for the lock
        client.get("/api/auth/me")
        other.execute("ROLLBACK")

    assert client.send_message(thread_id, "Again", model="echo").status_code == 201
    texts = sorted(item["text"] for item in client.messages(thread_id))
    assert texts == ["Again"] * 2 + ["Hi"] * (len(texts) - 2)
    assert len(texts) in (2, 4)
