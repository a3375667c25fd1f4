"""The clients that front-end developers use, as they come from npm, against a live server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import node
from tests.clients import Client
from tests.graphql.operations import start_run
from tests.provider import CONTROL
from tests.provider.client import ProviderProcess
from tests.provider.script import Script, WaitFor, text_stream
from tests.servers import ServerProcess

pytestmark = node.MAY_INSTALL

BEGINNING, REST = "first", " second"
# Fewer may be open than the clients stop early, so that leftovers would be refused.
STOPS = 12
SETTINGS = {
    "CHAT_GRAPHQL_MAX_SUBSCRIPTIONS": "4",
    "CHAT_GRAPHQL_MAX_CONNECTIONS_PER_USER": "4",
    "CHAT_LLM_TIMEOUT_SECONDS": "60",
}


@pytest.fixture(scope="module")
def narrow_server(
    provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("narrow"), f"{provider.base_url}/v1", SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def owner(narrow_server: ServerProcess) -> Iterator[Client]:
    with narrow_server.admin() as client:
        yield client


def held(gate: str) -> Script:
    """An answer that waits in its middle."""
    return text_stream(BEGINNING, WaitFor(gate), REST)


def access(server: ServerProcess, client: Client) -> dict[str, Any]:
    """How a script reaches the server as this user."""
    return {"url": f"{server.url}/graphql", "authorization": client.headers["authorization"]}


def gates(provider: ProviderProcess) -> dict[str, Any]:
    """How a script lets the provider go on, and when."""
    return {"openGateUrl": f"{provider.base_url}{CONTROL}open_gate", "beginning": BEGINNING}


@pytest.mark.parametrize(
    ("client", "has_socket", "heals"),
    [
        ("graphql-ws", True, True),
        ("graphql-sse, distinct connections", False, True),
        ("graphql-sse, single connection", False, True),
        ("apollo, multipart", False, False),
        ("apollo, graphql-ws", True, True),
        ("urql, event streams", False, False),
        ("urql, graphql-ws", True, True),
    ],
)
def test_a_client_reads_writes_follows_stops_and_comes_back(
    narrow_server: ServerProcess,
    owner: Client,
    provider: ProviderProcess,
    model: str,
    client: str,
    *,
    has_socket: bool,
    heals: bool,
) -> None:
    models = {name: f"{model}-{name}" for name in ("plain", "stopped", "cut", "healed")}
    provider.script(models["plain"], text_stream("Hello", " ", "world"))
    for name in ("stopped", "cut", "healed"):
        provider.script(models[name], held(models[name]))

    given = {"client": client, "models": models, "stops": STOPS, "heals": heals}
    seen = node.run("clients.js", {**given, **access(narrow_server, owner), **gates(provider)})

    assert seen["username"] == "admin"
    assert seen["thread"]["title"] == client
    assert (seen["failure"]["__typename"], seen["failure"]["code"]) == ("ThreadNotFound", "THREAD_NOT_FOUND")
    assert seen["badCursor"] == seen["badId"] == ["BAD_USER_INPUT"]
    assert seen["notSignedIn"] == ["UNAUTHENTICATED"]
    assert (seen["followed"]["text"], seen["followed"]["status"]) == ("Hello world", "COMPLETED")
    assert seen["followed"]["seen"][-1] == "RunEnded"

    whole = (BEGINNING + REST, "COMPLETED")
    assert (seen["stopped"]["text"], seen["stopped"]["status"]) == whole
    assert not has_socket or seen["stopped"]["newConnections"] == 0
    assert seen["cameBack"]["noticed"]
    assert (seen["cameBack"]["text"], seen["cameBack"]["status"]) == whole
    assert {"RunSnapshot", "CursorExpired"}.isdisjoint(seen["cameBack"]["seen"])
    assert not heals or (seen["healed"]["text"], seen["healed"]["status"]) == whole


def test_an_event_source_resumes_by_the_id_of_its_last_event(
    server: ServerProcess, user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, held(model))
    given = {"runId": start_run(user, model), "gate": model}

    seen = node.run("event-source.js", {**given, **access(server, user), **gates(provider)})

    assert (seen["text"], seen["status"]) == (BEGINNING + REST, "COMPLETED")
    assert seen["ids"] == seen["cursors"]
    assert "RunSnapshot" not in seen["seen"]
    first, *later = seen["requests"]
    assert first is None
    assert later
    assert set(later) <= set(seen["ids"])


def test_a_file_is_uploaded_by_the_multipart_request_specification(
    server: ServerProcess, user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Thanks"))
    file = {"name": "заметки.txt", "type": "text/plain", "content": "Рим, 753"}
    given = {"threadId": user.new_thread()["id"], "text": "Look", "model": model, "file": file}

    seen = node.run("uploads.js", {**given, **access(server, user)})

    (attachment,) = seen["attachments"]
    assert (attachment["filename"], attachment["contentType"]) == (file["name"], file["type"])
    assert attachment["sizeBytes"] == len(file["content"].encode())
    assert seen["content"] == file["content"]


def test_a_query_is_sent_in_full_once_and_then_by_its_hash(
    server: ServerProcess, user: Client, model: str
) -> None:
    query = f"query {model.replace('-', '_')} {{ viewer {{ user {{ username }} }} }}"

    seen = node.run("persisted.js", {"query": query, **access(server, user)})

    username, again = seen["answers"]
    assert username == again
    assert username.startswith("user-")
    assert seen["requests"] == [
        {"method": "GET", "inFull": False, "status": 400},
        {"method": "POST", "inFull": True, "status": 200},
        {"method": "GET", "inFull": False, "status": 200},
    ]
