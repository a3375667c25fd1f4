"""A run belongs to no process: what one writes, every other reads, resumes and ends."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.clients import DONE, Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.runs.following import cancel, ended, events, following, numbered, poll, run, start, text_of
from tests.scale.conftest import Engines, new_server
from tests.servers import PASSWORD, ServerProcess

Both = tuple[Client, Client]
ROOT = Path(__file__).parents[2]
WORDS = [f"{number} " for number in range(200)]


def test_a_run_of_one_process_is_read_live_on_the_other(
    clients: Both, provider: ProviderProcess, model: str
) -> None:
    one, two = clients
    provider.script(model, text_stream("First", WaitFor(model), " second"))
    run_id = start(one, one.new_thread()["id"], model=model)
    with following(two, run_id) as frames:
        assert next(frame for frame in frames if text_of([frame]) == "First")
        provider.open_gate(model)
        rest = list(frames)

    assert text_of(rest) == " second"
    assert rest[-1].data == DONE
    assert events(one, run_id) == events(two, run_id)


def test_a_reader_goes_on_where_it_stopped_on_the_other_process(
    clients: Both, provider: ProviderProcess, model: str
) -> None:
    one, two = clients
    provider.script(model, text_stream(*WORDS[:100], WaitFor(model), *WORDS[100:]))
    run_id = start(one, one.new_thread()["id"], model=model)
    seen = []
    with following(one, run_id) as frames:
        for frame in frames:
            seen.append(frame)
            if text_of(seen) == "".join(WORDS[:57]):
                break
    with following(two, run_id, after=seen[-1].cursor) as frames:
        provider.open_gate(model)
        seen += frames

    assert text_of(seen) == "".join(WORDS)
    assert numbered(seen) == numbered(events(one, run_id))


def test_a_run_is_cancelled_by_the_other_process(
    clients: Both, provider: ProviderProcess, model: str
) -> None:
    one, two = clients
    provider.script(model, text_stream("Some", WaitFor("never")))
    thread_id = one.new_thread()["id"]
    run_id = start(one, thread_id, model=model)
    with following(one, run_id) as frames:
        next(frame for frame in frames if text_of([frame]) == "Some")
        answer = cancel(two, run_id)
        rest = list(frames)

    assert answer.json()["status"] == "cancelled"
    assert [frame.data for frame in rest].count(DONE) == 1
    assert two.messages(thread_id)[0]["text"] == "Some"


def test_sends_to_two_processes_are_answered_one_at_a_time_and_in_order(
    clients: Both, provider: ProviderProcess, model: str
) -> None:
    one, two = clients
    gates = [WaitFor(f"{model} {number}") for number in range(6)]
    provider.script(model, *(text_stream(gate, f"answer {number}") for number, gate in enumerate(gates)))
    thread_id = one.new_thread()["id"]
    runs = [
        start((one, two)[number % 2], thread_id, f"Question {number}", model=model) for number in range(6)
    ]
    for number, gate in enumerate(gates):
        provider.wait_until_held(gate.gate)
        waiting = [run(one, run_id)["status"] for run_id in runs[number + 1 :]]
        assert waiting == ["queued"] * len(waiting)
        provider.open_gate(gate.gate)
        assert ended((two, one)[number % 2], runs[number])["status"] == "completed"

    told = [message["text"] for message in reversed(two.messages(thread_id))]
    assert [text for text in told if text.startswith("answer")] == [f"answer {number}" for number in range(6)]


def test_one_idempotency_key_on_two_processes_is_one_run(
    clients: Both, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Once"))
    thread_id = clients[0].new_thread()["id"]
    key = unique("key")

    def send(number: int) -> str:
        return start_with_key(clients[number % 2], thread_id, model, key)

    with ThreadPoolExecutor(8) as pool:
        runs = set(pool.map(send, range(8)))

    assert len(runs) == 1
    assert ended(clients[1], runs.pop())["status"] == "completed"
    assert len(clients[0].messages(thread_id)) == 2


def start_with_key(client: Client, thread_id: str, model: str, key: str) -> str:
    body = {"text": "Hi", "model": model}
    url = f"/api/threads/{thread_id}/messages/stream"
    with client.stream("POST", url, json=body, headers={"Idempotency-Key": key}) as response:
        response.read()
        assert response.status_code == 200, response.text
        return response.headers["X-Run-Id"]


LOGOUT = "mutation { logout { __typename } }"
DEACTIVATE = "mutation ($id: UUID!) { deactivateUser(input: {userId: $id}) { __typename } }"


@pytest.mark.parametrize("what", ["signed out", "deactivated"])
def test_who_is_signed_out_or_deactivated_on_one_process_is_so_on_the_other(clients: Both, what: str) -> None:
    admin, two = clients
    name, password = unique("leaver"), "correct horse battery"
    made = admin.post("/api/auth/register", json={"username": name, "password": password}).json()
    with Client(str(two.base_url)) as there, Client(str(admin.base_url)) as here:
        token = there.sign_in(name, password).headers["Authorization"]
        here.headers["Authorization"] = token
        assert there.get("/api/auth/me").status_code == 200
        if what == "signed out":
            said = here.post("/graphql", json={"query": LOGOUT}).json()
        else:
            query = {"query": DEACTIVATE, "variables": {"id": made["id"]}}
            said = admin.post("/graphql", json=query).json()
        assert "errors" not in said, said
        # Long before the 15 seconds after which it would look by itself.
        poll(lambda: there.get("/api/auth/me").status_code == 401, "the other process goes on", 5)


def test_a_process_that_starts_while_a_run_waits_tells_it_like_any_other(
    engines: Engines, clients: Both, provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    one, _ = clients
    first, second = text_stream("One", WaitFor(model)), text_stream("Two ", WaitFor(f"{model} 2"), "end")
    provider.script(model, first, second)
    thread_id = one.new_thread()["id"]
    start(one, thread_id, model=model)
    run_id = start(one, thread_id, "Second", model=model)
    with (
        new_server(engines, tmp_path / "late", f"{provider.base_url}/v1") as late,
        late.client().sign_in("admin", PASSWORD) as client,
        following(client, run_id) as frames,
    ):
        provider.open_gate(model)
        provider.wait_until_held(f"{model} 2")
        provider.open_gate(f"{model} 2")
        told = list(frames)
        assert text_of(told) == "Two end"
        assert numbered(told) == numbered(events(one, run_id))


SUBSCRIPTION = "subscription ($id: UUID!) { runEvents(runId: $id) { __typename } }"


def test_readers_of_a_process_that_ends_are_sent_to_the_one_that_writes(
    engines: Engines, clients: Both, provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    one, _ = clients
    provider.script(model, text_stream("Some", WaitFor(model), " more"))
    thread_id = one.new_thread()["id"]
    run_id = start(one, thread_id, model=model)
    waiting = start(one, thread_id, "Second", model=model)
    query = {"query": SUBSCRIPTION, "variables": {"id": run_id}}
    with (
        new_server(engines, tmp_path / "leaving", f"{provider.base_url}/v1") as leaving,
        leaving.client().sign_in("admin", PASSWORD) as client,
        following(client, run_id) as frames,
        following(client, waiting) as others,
        client.stream("POST", "/graphql", json=query, headers={"Accept": "text/event-stream"}) as response,
    ):
        seen = [next(frame for frame in frames if text_of([frame]) == "Some")]
        leaving.send_signal(signal.SIGTERM)
        seen += frames
        assert DONE not in [frame.data for frame in (*seen, *others)]
        assert "SHUTTING_DOWN" in response.read().decode()
        assert leaving.wait() == 0
        drained = [line for line in leaving.log_lines() if "exceeded" in line["event"]]
        assert drained == []
    provider.open_gate(model)
    assert text_of([*seen, *events(one, run_id, seen[-1].cursor)]) == "Some more"


def takes_nobody(server: ServerProcess) -> bool:
    try:
        httpx.get(f"{server.url}/health/live")
    except httpx.ConnectError:
        return True
    return False


def test_who_waits_for_an_answer_at_a_process_that_ends_gets_it_from_the_one_that_writes(
    engines: Engines, clients: Both, provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    one, _ = clients
    provider.script(model, text_stream("First", WaitFor(model)), text_stream("Second"))
    thread_id = one.new_thread()["id"]
    start(one, thread_id, model=model)
    with (
        new_server(engines, tmp_path / "leaving", f"{provider.base_url}/v1") as leaving,
        leaving.client().sign_in("admin", PASSWORD) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        sent = pool.submit(client.send_message, thread_id, "Second", model=model)
        poll(lambda: len(one.messages(thread_id)) == 2, "it is not stored")
        leaving.send_signal(signal.SIGTERM)
        poll(lambda: takes_nobody(leaving), "it does not end")
        provider.open_gate(model)
        answer = sent.result()
        assert (answer.status_code, answer.json()["status"]) == (201, "ready"), answer.text
        assert leaving.wait() == 0


HASTY_CLOCK = """
import datetime

class Ahead(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=20)

datetime.datetime = Ahead
"""


def test_a_process_whose_clock_is_ahead_takes_no_run_from_another(
    engines: Engines, clients: Both, provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    one, _ = clients
    provider.script(model, text_stream("Some", WaitFor(model), " more"))
    run_id = start(one, one.new_thread()["id"], model=model)
    (tmp_path / "sitecustomize.py").write_text(HASTY_CLOCK)
    provider_url, packages = f"{provider.base_url}/v1", Path(f"{tmp_path}{os.pathsep}{ROOT}")
    # It ends what dead processes have left before it serves.
    with ServerProcess(tmp_path, provider_url, engines.settings, packages=packages):
        provider.open_gate(model)
        assert ended(one, run_id)["status"] == "completed"


def test_a_run_that_waits_is_cancelled_at_once_by_the_other_process(
    clients: Both, provider: ProviderProcess, model: str
) -> None:
    one, two = clients
    provider.script(model, text_stream("Some", WaitFor("never")))
    thread_id = one.new_thread()["id"]
    first = start(one, thread_id, model=model)
    second = start(one, thread_id, "Second", model=model)
    with following(one, second) as frames:
        two.timeout = one.timeout = httpx.Timeout(3)  # the database would be asked after five
        assert cancel(two, second).json()["status"] == "cancelled"
        assert list(frames)[-1].data == DONE
    assert cancel(two, first).json()["status"] == "cancelled"
