"""A password that is sent as soon as it is asked for, before the asking answer has ended."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import Cut, Script, WaitFor, chunk, sse, text_stream
from tests.servers import ServerProcess

FORM = {"question": "Your password?", "field": {"format": "password"}}
QUESTION = chunk(agent_status="interrupted", interrupt_id="i-1", interrupt_payload=FORM)


@pytest.fixture
def own(provider: ProviderProcess, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, f"{provider.base_url}/v1") as server:
        yield server


def stored(server: ServerProcess) -> bytes:
    return b"".join(path.read_bytes() for path in server.directory.rglob("*") if path.is_file())


def question_seen(client: Client, thread_id: str, model: str) -> str:
    """Ask, leave as soon as the form is seen, and give the id of the run."""
    with client.streaming(thread_id, "Log in", model=model) as response:
        assert any("Your password?" in line for line in response.iter_lines())
        return str(response.headers["x-run-id"])


def test_it_is_a_secret_while_the_asking_answer_is_still_open(
    own: ServerProcess, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, sse(QUESTION, WaitFor(model)), text_stream("Thank you"))
    secret = unique("sesame")
    with own.admin() as client, ThreadPoolExecutor(1) as pool:
        thread_id = client.new_thread()["id"]
        question_seen(client, thread_id, model)
        sending = pool.submit(client.send_message, thread_id, secret, model=model)
        provider.wait_until_held(model)
        provider.open_gate(model)
        assert sending.result().status_code == 201
        assert client.send_message(thread_id, "plain again", model=model).status_code == 201
        texts = [message["text"] for message in client.messages(thread_id)]

    assert provider.requests(model)[1].json["messages"][-1]["content"] == secret
    assert "plain again" in texts
    assert secret.encode() not in stored(own)


@pytest.mark.parametrize("end", ["cut", "cancelled", "killed"])
def test_it_is_a_secret_however_the_asking_answer_ended(
    own: ServerProcess, provider: ProviderProcess, model: str, end: str
) -> None:
    asking: Script = sse(QUESTION, WaitFor(model), done=False)
    provider.script(model, asking.then(Cut()), text_stream("Thank you"))
    secret = unique("sesame")
    with own.admin() as client:
        thread_id = client.new_thread()["id"]
        run_id = question_seen(client, thread_id, model)
        if end == "cancelled":
            assert client.post(f"/api/runs/{run_id}/cancel").json()["status"] == "cancelled"
        elif end == "killed":
            own.kill()
        else:
            provider.open_gate(model)
            assert "agent_error" in client.get(f"/api/runs/{run_id}/events").text
    if end == "killed":
        own.start()
    with own.admin() as client:
        assert client.send_message(thread_id, secret, model=model).status_code == 201

    assert provider.requests(model)[1].json["messages"][-1]["content"] == secret
    assert secret.encode() not in stored(own)
