"""The list of models: the provider's, as far as the caller may name them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import Namespace, ProviderProcess
from tests.provider.script import (
    CloseCleanly,
    Cut,
    Json,
    Script,
    Send,
    json_body,
    models,
    plain_error,
)
from tests.servers import PASSWORD, ServerProcess

TITLED: list[str | Json] = [
    {"id": "agent-1", "name": "Агент"},
    "agent-2",
    {"id": "agent-3", "name": None, "more": [1]},
]


@pytest.fixture(scope="module")
def source(provider: ProviderProcess) -> Iterator[Namespace]:
    """A provider whose models only these tests set."""
    with provider.namespace() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def house(source: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"CHAT_LLM_TIMEOUT_SECONDS": "2", "CHAT_LLM_API_KEY": "the-key"}
    directory = tmp_path_factory.mktemp("models")
    with ServerProcess(directory, f"{source.base_url}/v1", settings) as process:
        yield process


@pytest.fixture(scope="module")
def boss(house: ServerProcess) -> Iterator[Client]:
    with house.admin() as client:
        yield client


def limited_client(server: ServerProcess, agents: list[str]) -> Client:
    """A client of a new account with these `allowed_agents`."""
    name = unique("limited")
    body = {"username": name, "password": PASSWORD, "allowed_agents": agents}
    with server.admin() as admin:
        admin.post("/api/auth/register", json=body).raise_for_status()
    return server.client().sign_in(name, PASSWORD)


def raw_body(body: bytes) -> Script:
    headers = (("Content-Type", "application/json"),)
    return Script(steps=(Send(body),), headers=headers, framing="length")


def assert_502(response: httpx.Response) -> str:
    assert response.status_code == 502, response.text
    detail = response.json()["detail"]
    assert list(response.json()) == ["detail"]
    assert isinstance(detail, str)
    assert detail
    return str(detail)


def test_models_are_the_providers_in_its_order_with_their_names(boss: Client, source: Namespace) -> None:
    source.set_models(models(TITLED))

    response = boss.get("/api/models")

    assert response.status_code == 200
    assert response.json() == {
        "models": ["agent-1", "agent-2", "agent-3"],
        "cards": [
            {"id": "agent-1", "name": "Агент"},
            {"id": "agent-2", "name": None},
            {"id": "agent-3", "name": None},
        ],
    }
    request = source.requests()[-1]
    assert (request.method, request.path, request.token) == ("GET", "/v1/models", "the-key")


def test_a_provider_without_models_has_an_empty_list(boss: Client, source: Namespace) -> None:
    source.set_models(models([]))

    response = boss.get("/api/models")

    assert (response.status_code, response.json()) == (200, {"models": [], "cards": []})


def test_the_list_is_asked_for_anew_each_time(boss: Client, source: Namespace) -> None:
    source.set_models(models(["before"]), models(["after"]))

    assert [boss.get("/api/models").json()["models"] for _ in range(2)] == [["before"], ["after"]]


def test_strangers_are_not_told_and_the_provider_is_not_asked(
    house: ServerProcess, source: Namespace
) -> None:
    before = len(source.requests())
    with house.client() as stranger:
        assert stranger.get("/api/models").status_code == 401
    assert len(source.requests()) == before


def test_a_caller_with_a_list_of_agents_sees_only_those(house: ServerProcess, source: Namespace) -> None:
    source.set_models(models(TITLED))
    with limited_client(house, ["agent-3", "agent-1", "agent-9"]) as client:
        assert client.get("/api/models").json() == {
            "models": ["agent-1", "agent-3"],
            "cards": [{"id": "agent-1", "name": "Агент"}, {"id": "agent-3", "name": None}],
        }
    with limited_client(house, ["AGENT-1"]) as client:
        assert client.get("/api/models").json() == {"models": [], "cards": []}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (json_body({"error": {"message": "No such key"}}, status=401), "No such key"),
        (json_body({"detail": "Out of quota"}, status=429), "Out of quota"),
        (plain_error("Down for repair", 503), "Down for repair"),
    ],
)
def test_a_failure_of_the_provider_is_502_in_its_own_words(
    boss: Client, source: Namespace, script: Script, message: str
) -> None:
    source.set_models(script)

    assert assert_502(boss.get("/api/models")) == message


@pytest.mark.parametrize(
    "script",
    [
        Script(steps=(Send(b"<html>oops"),), status=500, framing="length"),
        Script(steps=(), status=302, headers=(("Location", "/v1/elsewhere"),), framing="length"),
        Script(steps=(Cut(),), framing="raw"),
        Script(steps=(Send(b'{"data": ['), Cut())),
        Script(steps=(Send(b'{"data": ['), CloseCleanly(end_body=False))),
        Script(steps=(Send(b"no HTTP at all\r\n\r\n"), CloseCleanly()), framing="raw"),
        models(["late"]).held("never"),
    ],
    ids=["500", "redirect", "reset", "cut", "half", "not HTTP", "silence"],
)
def test_a_provider_that_says_nothing_useful_is_502(boss: Client, source: Namespace, script: Script) -> None:
    source.set_models(script)

    detail = assert_502(boss.get("/api/models"))

    assert "<html>" not in detail
    source.set_models(models(["well again"]))
    assert boss.get("/api/models").json()["models"] == ["well again"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"data": [',
        b"null",
        b"[]",
        b'"data"',
        b'{"object": "list"}',
        b'{"error": {"message": "hidden in a 200"}}',
        b'{"data": null}',
        b'{"data": "abc"}',
        b'{"data": {"id": "a"}}',
        b'{"data": 1}',
        b'{"data": [null]}',
        b'{"data": [1]}',
        b'{"data": [[]]}',
        b'{"data": [{}]}',
        b'{"data": [{"id": null}]}',
        b'{"data": [{"id": ""}]}',
        b'{"data": [{"id": 5}]}',
        b'{"data": [{"id": "a\xff"}]}',
        b'{"data": ["\\ud800"]}',
        b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_an_answer_that_makes_no_sense_is_502(boss: Client, source: Namespace, body: bytes) -> None:
    source.set_models(raw_body(body))

    assert_502(boss.get("/api/models"))


def test_a_provider_that_is_not_there_is_502(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "http://127.0.0.1:9/v1") as server, server.admin() as client:
        assert_502(client.get("/api/models"))


def test_agents_that_are_no_models_limit_neither_the_list_nor_what_is_sent(
    source: Namespace, tmp_path: Path
) -> None:
    source.set_models(models(["gpt", "agent-1"]))
    settings = {"CHAT_AGENTS_ARE_MODELS": "false"}
    with (
        ServerProcess(tmp_path, f"{source.base_url}/v1", settings) as server,
        limited_client(server, ["agent-1"]) as client,
    ):
        thread_id = client.new_thread(metadata={"agent_id": "agent-1"})["id"]

        assert client.get("/api/models").json()["models"] == ["gpt", "agent-1"]
        assert client.send_message(thread_id, model="gpt").status_code == 201
        assert client.post("/api/threads", json={"metadata": {"agent_id": "gpt"}}).status_code == 403


def test_a_provider_that_is_switched_off_is_503(source: Namespace, tmp_path: Path) -> None:
    before = len(source.requests())
    settings = {"CHAT_LLM_ENABLED": "false"}
    with (
        ServerProcess(tmp_path, f"{source.base_url}/v1", settings) as server,
        server.admin() as client,
        server.client() as stranger,
    ):
        response, refused = client.get("/api/models"), stranger.get("/api/models")

    assert (response.status_code, refused.status_code) == (503, 401)
    assert isinstance(response.json()["detail"], str)
    assert len(source.requests()) == before
