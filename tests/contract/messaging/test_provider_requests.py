"""What the provider is asked: address, headers and body."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from tests.clients import Client
from tests.provider.client import Namespace, ProviderProcess
from tests.provider.script import json_body, plain_error, text_stream
from tests.servers import ServerProcess

USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def configured(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Its server knows the provider by host and port, and has a key and a system prompt."""
    settings = {
        "CHAT_LLM_API_BASE": "",
        "CHAT_LLM_API_PORT": provider.base_url.rpartition(":")[2],
        "CHAT_LLM_API_PATH_PREFIX": "openai/v2/",
        "CHAT_LLM_API_KEY": "sk-key",
        "CHAT_LLM_SYSTEM_PROMPT": "Be brief.\nAlways — ж.",
    }
    directory = tmp_path_factory.mktemp("configured")
    with ServerProcess(directory, "", settings) as server, server.admin() as client:
        yield client


@pytest.fixture(scope="module")
def sidelong(
    provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, Namespace]]:
    """Its server knows the provider by a base with a path and without the prefix, and is nobody else's."""
    directory = tmp_path_factory.mktemp("sidelong")
    with (
        provider.namespace() as own,
        ServerProcess(directory, own.base_url) as server,
        server.admin() as client,
    ):
        yield client, own


# --- the body ----------------------------------------------------------------------------


def test_the_first_question_says_this_and_no_more(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    user.send_message(thread_id, "Hello", model=model, model_label="Label", correlation_id="mine")

    (request,) = provider.requests(model)
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.header("content-type") == "application/json"
    assert request.json == {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "user": user.get("/api/auth/me").json()["id"],
        **USAGE,
    }


def test_the_stream_asks_the_same_as_the_call_that_waits(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    user.send_message(user.new_thread()["id"], "Hello", model=model)
    user.stream_text(user.new_thread()["id"], "Hello", model=model)

    waited, streamed = provider.requests(model)
    assert waited.json == streamed.json


def test_the_whole_history_goes_along_oldest_first(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("One!"), text_stream("Two!"), text_stream("Three!"))
    for text in ("One?", "Two?", "Three?"):
        user.send_message(thread_id, text, model=model)

    assert [(item["role"], item["content"]) for item in provider.requests(model)[2].json["messages"]] == [
        *(("user", "One?"), ("assistant", "One!"), ("user", "Two?"), ("assistant", "Two!")),
        ("user", "Three?"),
    ]


def test_a_long_history_is_sent_whole(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    texts = [f"Number {number}" for number in range(60)]
    for text in texts:
        user.send_message(thread_id, text, model=model)

    last = provider.requests(model)[-1].json["messages"]
    assert [item["content"] for item in last if item["role"] == "user"] == texts


def test_other_threads_stay_out_of_the_history(user: Client, provider: ProviderProcess, model: str) -> None:
    user.send_message(user.new_thread()["id"], "Elsewhere", model=model)
    user.send_message(user.new_thread()["id"], "Here", model=model)

    assert provider.requests(model)[1].json["messages"] == [{"role": "user", "content": "Here"}]


def test_text_of_every_script_arrives_as_it_was_typed(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    text = 'Привет\n\t"мир" \\ 👩‍💻 \u2028 \x07'
    user.send_message(thread_id, text, model=model)

    assert provider.requests(model)[0].json["messages"][0]["content"] == text


# --- the conversation --------------------------------------------------------------------


def test_a_conversation_id_is_stored_and_sent_with_the_next_question(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("A", conversation_id="conv-1"), text_stream("B"))
    user.send_message(thread_id, model=model, model_label="Label")
    kept = user.get(f"/api/provider-threads/{thread_id}").json()
    for _ in range(2):
        user.send_message(thread_id)

    assert (kept["provider"], kept["conversation_id"]) == ("openai-compatible", "conv-1")
    assert kept["payload"] == {"model": model, "model_label": "Label"}
    sent = [request.json.get("conversation_id", "none") for request in provider.requests(model)]
    assert sent == ["none", "conv-1", "conv-1"]


def test_the_newest_conversation_id_counts(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, *(text_stream("A", conversation_id=name) for name in ("conv-1", "conv-2")))
    for _ in range(3):
        user.send_message(thread_id, model=model)

    assert provider.requests(model)[2].json["conversation_id"] == "conv-2"


def test_a_conversation_id_that_a_client_puts_is_sent(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    user.put(f"/api/provider-threads/{thread_id}", json={"conversation_id": "put-1"})
    user.send_message(thread_id, model=model)

    assert provider.requests(model)[0].json["conversation_id"] == "put-1"


@pytest.mark.parametrize("odd", [7, ["conv"], {}, "", None, "x" * 256])
def test_a_conversation_id_that_cannot_be_kept_spoils_nothing(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, odd: object
) -> None:
    provider.script(model, text_stream("A", conversation_id=odd))

    assert [user.send_message(thread_id, model=model).status_code for _ in range(2)] == [201, 201]
    assert "conversation_id" not in provider.requests(model)[1].json


# --- usage -------------------------------------------------------------------------------


def test_a_server_that_refuses_stream_options_is_asked_without_them(
    sidelong: tuple[Client, Namespace], model: str
) -> None:
    client, provider = sidelong
    refusal = json_body({"error": {"message": "Unknown parameter: 'stream_options'."}}, status=400)
    provider.script(model, refusal, text_stream("A"))
    thread_id = client.new_thread()["id"]
    for _ in range(2):
        assert client.send_message(thread_id, model=model).status_code == 201

    assert [message["status"] for message in client.messages(thread_id)] == ["ready"] * 4
    refused, *rest = (request.json for request in provider.requests(model))
    assert refused.items() >= USAGE.items()
    assert {name: value for name, value in refused.items() if name not in USAGE} == rest[0]
    assert ["stream_options" in body for body in rest] == [False, False]


def test_another_refusal_is_not_asked_again(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, plain_error("The model is not known", 400), text_stream("A"))

    assert user.send_message(thread_id, model=model).status_code == 502
    assert len(provider.requests(model)) == 1


# --- address and headers -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8080/v1"),
        ({"llm_api_scheme": "https", "llm_api_host": "llm", "llm_api_port": 443}, "https://llm:443/v1"),
        ({"llm_api_base": "http://llm"}, "http://llm/v1"),
        ({"llm_api_base": "http://llm/"}, "http://llm/v1"),
        ({"llm_api_base": "http://llm/v1"}, "http://llm/v1"),
        ({"llm_api_base": "http://llm/v1/"}, "http://llm/v1"),
        ({"llm_api_base": "http://llm/v12"}, "http://llm/v12/v1"),
        ({"llm_api_base": "http://llm/api", "llm_api_path_prefix": "v1"}, "http://llm/api/v1"),
        ({"llm_api_base": "http://llm/a/b", "llm_api_path_prefix": "/a/b/"}, "http://llm/a/b"),
        ({"llm_api_base": "http://llm/api", "llm_api_path_prefix": ""}, "http://llm/api"),
        ({"llm_api_base": "http://llm", "llm_api_host": "other", "llm_api_port": 1}, "http://llm/v1"),
        ({"llm_api_base": " ", "llm_api_host": "llm"}, "http://llm:8080/v1"),
    ],
)
def test_the_base_url_follows_its_settings(
    given: dict[str, object], url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # nobody's .env counts
    for name in [name for name in os.environ if name.startswith("CHAT_")]:
        monkeypatch.delenv(name)

    assert Settings.model_validate(given).llm_base_url == url


def test_a_base_without_the_prefix_gets_it_and_a_path_before_it_stays(
    sidelong: tuple[Client, Namespace], model: str
) -> None:
    client, provider = sidelong
    client.send_message(client.new_thread()["id"], model=model)
    client.get("/api/models")

    assert [request.path for request in provider.requests(model)] == ["/v1/chat/completions"]
    assert [request.path for request in provider.requests()] == ["/v1/models"]


def test_host_port_and_prefix_make_the_address(
    configured: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("A"))
    configured.send_message(configured.new_thread()["id"], model=model)

    assert [request.path for request in provider.requests(model)] == ["/openai/v2/chat/completions"]


def test_the_key_is_sent_as_bearer_token(configured: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("A"))
    configured.send_message(configured.new_thread()["id"], model=model)

    assert provider.requests(model)[0].header("authorization") == "Bearer sk-key"


def test_without_a_key_nothing_is_authorized_least_of_all_by_the_users_token(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    user.send_message(thread_id, model=model)

    (request,) = provider.requests(model)
    assert request.header("authorization") == ""
    token = str(user.headers["authorization"]).removeprefix("Bearer ")
    assert token not in repr(request)


def test_a_cookie_of_the_provider_is_not_sent_with_other_requests(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    script = text_stream("A")
    cookie = ("Set-Cookie", "session=of-one-user; Path=/")
    provider.script(model, type(script)(script.steps, headers=(*script.headers, cookie)))
    for _ in range(2):
        user.send_message(thread_id, model=model)

    assert [request.header("cookie") for request in provider.requests(model)] == ["", ""]


def test_the_system_prompt_comes_first_and_is_not_stored(
    configured: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("A"))
    thread_id = configured.new_thread()["id"]
    for _ in range(2):
        configured.send_message(thread_id, "Hello", model=model)

    system = {"role": "system", "content": "Be brief.\nAlways — ж."}
    for request in provider.requests(model):
        assert request.json["messages"][0] == system
        assert [item["role"] for item in request.json["messages"]].count("system") == 1
    assert {message["sender_type"] for message in configured.messages(thread_id)} == {"user", "assistant"}
