"""The reply to a question for a password: told to the provider, and kept nowhere."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import (
    Script,
    WaitFor,
    chunk,
    plain_error,
    sse,
    text_stream,
)
from tests.servers import ServerProcess

PASSWORD_FORM = {
    "question": "Your password?",
    "schema": {"type": "object", "properties": {"secret": {"type": "string", "format": "password"}}},
}


@pytest.fixture(scope="module")
def server(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that logs all it can, with a database that no other module writes."""
    settings = {"CHAT_LOG_LEVEL": "DEBUG"}
    directory = tmp_path_factory.mktemp("interrupts")
    with ServerProcess(directory, f"{provider.base_url}/v1", settings) as process:
        yield process


@pytest.fixture(scope="module")
def user(server: ServerProcess) -> Iterator[Client]:
    with server.admin() as client:
        yield client


def asking(payload: Any) -> Script:
    """The agent's question, which ends its run until the user replies."""
    return sse(chunk(agent_status="interrupted", interrupt_id="i-1", interrupt_payload=payload))


def ask_for_password(user: Client, thread_id: str, model: str) -> None:
    assert user.send_message(thread_id, "Log in", model=model).status_code == 201
    assert user.messages(thread_id)[0]["metadata"]["interrupt_id"] == "i-1"


def places(server: ServerProcess, user: Client, thread_id: str) -> dict[str, bytes]:
    """Everything that the server wrote or tells, by name."""
    base = f"/api/threads/{thread_id}"
    found = {str(path): path.read_bytes() for path in Path(server.directory).rglob("*") if path.is_file()}
    assert any(name.endswith("app.db-wal") for name in found)
    for url in (base, f"{base}/messages", f"{base}/export", "/api/threads"):
        found[url] = user.get(url).content
    pdf = PdfReader(io.BytesIO(user.get(f"{base}/export", params={"format": "pdf"}).content))
    found["pdf"] = "".join(page.extract_text() for page in pdf.pages).encode()
    docx = zipfile.ZipFile(io.BytesIO(user.get(f"{base}/export", params={"format": "docx"}).content))
    found["docx"] = b"".join(docx.read(name) for name in docx.namelist())
    return found


def assert_bullets(text: str) -> None:
    assert text
    assert set(text) == {"•"}


@pytest.mark.parametrize(
    "payload",
    [
        PASSWORD_FORM,
        {"question": "Which?", "format": "password"},
        {"question": "Which?", "fields": [{"name": "user"}, {"name": "pin", "format": "password"}]},
        {"question": "Which?", "fields": [[{"deep": [{"format": "password"}]}]]},
        [{"format": "password"}],
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_password_is_told_to_the_provider_once_and_kept_nowhere(
    user: Client,
    server: ServerProcess,
    provider: ProviderProcess,
    model: str,
    *,
    payload: Any,
    streamed: bool,
) -> None:
    provider.script(model, asking(payload), text_stream("Welcome"))
    thread_id, secret = user.new_thread(title="Mine")["id"], unique(" hunter2 — ж")
    ask_for_password(user, thread_id, model)
    user.patch(f"/api/threads/{thread_id}", json={"title": ""})  # the next message would be its title
    if streamed:
        assert "Welcome" in user.stream_text(thread_id, secret)
    else:
        assert_bullets(user.send_message(thread_id, secret).json()["text"])
    user.send_message(thread_id, "Thanks")

    requests = [request.json["messages"] for request in provider.requests(model)]
    assert requests[1][-1] == {"role": "user", "content": secret}
    assert_bullets(requests[2][-3]["content"])
    assert requests[2][-1]["content"] == "Thanks"
    needles = [secret.encode(), json.dumps(secret).strip('"').encode(), secret.strip().encode()]
    everywhere = places(server, user, thread_id)
    assert [name for name, data in everywhere.items() if any(needle in data for needle in needles)] == []
    assert_bullets(user.messages(thread_id)[3]["text"])
    assert b"\xe2\x80\xa2" in everywhere[f"/api/threads/{thread_id}/export"]
    assert user.messages(thread_id)[1]["text"] == "Thanks"


@pytest.mark.parametrize(
    "payload",
    [{"question": "Password?"}, {"question": "Which?", "format": "email"}, {"format": ["password?"]}],
)
def test_a_reply_to_another_question_is_no_secret(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, payload: Any
) -> None:
    provider.script(model, asking(payload), text_stream("Welcome"))
    ask_for_password(user, thread_id, model)

    assert user.send_message(thread_id, "The first").json()["text"] == "The first"


def test_a_form_that_came_before_the_status_asks_for_a_secret_too(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    form = chunk(interrupt_id="i-1", interrupt_payload=PASSWORD_FORM)
    provider.script(model, sse(form, chunk(agent_status="interrupted")), text_stream("Welcome"))
    ask_for_password(user, thread_id, model)

    assert_bullets(user.send_message(thread_id, "secret").json()["text"])


def test_a_password_is_a_secret_while_its_answer_is_written(
    user: Client, server: ServerProcess, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, asking(PASSWORD_FORM), text_stream("Wel", WaitFor(model), "come"))
    ask_for_password(user, thread_id, model)
    secret = unique("at-work")
    with user.streaming(thread_id, secret) as response:
        provider.wait_until_held(model)
        everywhere = places(server, user, thread_id)
        provider.open_gate(model)
        run_id = response.headers["x-run-id"]
        response.read()

    everywhere["run"] = user.get(f"/api/runs/{run_id}/events").content
    assert [name for name, data in everywhere.items() if secret.encode() in data] == []


def test_a_password_that_did_not_get_through_is_a_secret_again(
    user: Client, server: ServerProcess, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, asking(PASSWORD_FORM), plain_error("Try again", 503), text_stream("Welcome"))
    ask_for_password(user, thread_id, model)
    secret = unique("second-try")
    sent = [user.send_message(thread_id, secret).status_code for _ in range(2)]

    assert sent == [502, 201]
    assert [request.json["messages"][-1]["content"] for request in provider.requests(model)][1:] == [
        secret
    ] * 2
    everywhere = places(server, user, thread_id)
    assert [name for name, data in everywhere.items() if secret.encode() in data] == []


def test_a_refused_send_leaves_the_next_one_a_secret(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, asking(PASSWORD_FORM), text_stream("Welcome"))
    ask_for_password(user, thread_id, model)
    broken = {"filename": "a", "data_base64": "%"}

    assert user.send_message(thread_id, "secret", attachments=[broken]).status_code == 400
    assert_bullets(user.send_message(thread_id, "secret").json()["text"])


def test_a_password_asked_for_in_one_thread_is_none_in_another(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, asking(PASSWORD_FORM), text_stream("Hi"), text_stream("Welcome"))
    ask_for_password(user, thread_id, model)

    other = user.new_thread()["id"]
    assert user.send_message(other, "Hello", model=model).json()["text"] == "Hello"
    assert_bullets(user.send_message(thread_id, "secret").json()["text"])
