"""Readers that take little or nothing: the run goes on at its pace, and they lose nothing but time."""

import asyncio
import re
import socket
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest

from tests.clients import Client
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.runs.following import Frame, ended, events, following, read_frames, start, text_of
from tests.servers import ServerProcess

PATIENCE = 30.0
SEND_SECONDS = 1.0
CROWD = 300
MOST_BYTES = 10 * 2**20
# Far more than the kernel buffers for a connection.
LINE = "x" * 20_000
LINES = [f"{number:06}{LINE}" for number in range(400)]


@pytest.fixture(scope="module")
def strict(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that lets slow readers go soon, and keeps all events of a run."""
    settings = {
        "CHAT_SEND_TIMEOUT_SECONDS": str(SEND_SECONDS),
        "CHAT_RUN_LOG_BYTES": str(64 * 2**20),
        "CHAT_RUN_MAX_BYTES": str(MOST_BYTES),
    }
    with ServerProcess(tmp_path_factory.mktemp("strict"), f"{provider.base_url}/v1", settings) as server:
        yield server


def stalled(client: Client, run_id: str) -> socket.socket:
    """A reader of the run that has asked and takes nothing."""
    url = httpx.URL(str(client.base_url))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE)
    connection.connect((url.host, url.port or 80))
    authorization = client.headers["Authorization"]
    head = f"GET /api/runs/{run_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def rest_of(connection: socket.socket) -> list[Frame]:
    """The whole frames that were on their way when the server let go; it must have, without the end."""
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    # Chunks of the transfer are cut out; what the last one lacks is no frame.
    body = b"".join(re.split(rb"(?:\r\n|^)[0-9a-f]+\r\n", said.partition(b"\r\n\r\n")[2]))
    assert b"[DONE]" not in body
    whole = body[: body.rfind(b"\n\n") + 2].decode()
    return list(read_frames(whole.split("\n")[:-1]))


def test_a_reader_that_takes_nothing_is_let_go_and_comes_back_without_a_gap(
    strict: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream(*LINES, WaitFor(model), "the end"))
    with strict.admin() as client:
        run_id = start(client, client.new_thread()["id"], model=model)
        with stalled(client, run_id) as slow, following(client, run_id) as frames:
            assert any(text_of([frame]) == LINES[-1] for frame in frames), "it has waited for the slow one"
            strict.wait_for_log(event="client let go: it takes nothing")
            had = rest_of(slow)
        provider.open_gate(model)
        cursor = next(frame.cursor for frame in reversed(had) if frame.cursor)
        again = events(client, run_id, after=cursor)

    assert 2 < len(had) < len(LINES)
    assert text_of([*had, *again]) == "".join(LINES) + "the end"
    numbers = [int(frame.cursor.rpartition("-")[2]) for frame in [*had, *again] if frame.cursor]
    assert all(after - before == 1 for before, after in pairwise(numbers))


def test_readers_that_take_nothing_neither_hold_up_a_run_nor_are_kept_by_it(
    strict: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream(*LINES))
    with strict.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id = start(client, thread_id, model=model)
        readers = [stalled(client, run_id) for _ in range(20)]
        try:
            assert ended(client, run_id)["status"] == "completed"
            stored = client.get(f"/api/threads/{thread_id}/messages").json()["items"][0]
            assert stored["text"] == "".join(LINES)
        finally:
            for reader in readers:
                reader.close()


def test_an_answer_that_nobody_takes_is_read_up_to_its_limit_and_kept(
    strict: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream(*LINES, *LINES))
    with strict.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id = start(client, thread_id, model=model)
        with stalled(client, run_id), stalled(client, run_id):
            run = ended(client, run_id)
        answer, question = client.messages(thread_id)[:2]

    assert (run["status"], run["error_code"]) == ("failed", "ANSWER_TOO_LARGE")
    assert f"{MOST_BYTES} bytes" in run["error"]
    assert (question["status"], answer["status"]) == ("error", "error")
    assert "".join([*LINES, *LINES]).startswith(answer["text"])
    assert MOST_BYTES * 0.9 < len(answer["text"]) < MOST_BYTES


def test_three_hundred_readers_of_one_run_see_all_of_it(
    server: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    words = [f"{number} " for number in range(50)]
    provider.script(model, text_stream(*words, WaitFor(model), "end"))
    with server.admin() as client:
        run_id = start(client, client.new_thread()["id"], model=model)

        async def read(crowd: httpx.AsyncClient) -> str:
            async with crowd.stream("GET", f"/api/runs/{run_id}/events") as response:
                said = (await response.aread()).decode()
            return text_of(read_frames(said.split("\n")[:-1]))

        async def read_all() -> list[str]:
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(
                base_url=server.url, headers=client.headers, timeout=PATIENCE, limits=limits
            ) as crowd:
                readers = [asyncio.create_task(read(crowd)) for _ in range(CROWD)]
                await asyncio.sleep(0)
                provider.open_gate(model)
                return await asyncio.gather(*readers)

        told = asyncio.run(read_all())
        assert (len(told), set(told)) == (CROWD, {"".join(words) + "end"})
