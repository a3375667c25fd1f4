"""Provider threads: what a provider wants to be told again with the next message."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import text_stream
from tests.servers import PASSWORD, ServerProcess

FIELDS = {"id", "thread_id", "provider", "conversation_id", "payload", "created_at", "updated_at"}


@pytest.fixture(scope="module")
def joan(server: ServerProcess, admin: Client) -> Iterator[Client]:
    """One account for all of this."""
    name = unique("joan")
    admin.post("/api/auth/register", json={"username": name, "password": PASSWORD}).raise_for_status()
    with server.client().sign_in(name, PASSWORD) as client:
        yield client


@pytest.fixture
def thread_id(joan: Client) -> str:
    return str(joan.new_thread()["id"])


def put(client: Client, thread_id: str, **body: Any) -> dict[str, Any]:
    response = client.put(f"/api/provider-threads/{thread_id}", json=body)
    assert response.status_code == 200, response.text
    kept: dict[str, Any] = response.json()
    return kept


def get(client: Client, thread_id: str, provider: str | None = None) -> dict[str, Any]:
    query = {} if provider is None else {"provider": provider}
    response = client.get(f"/api/provider-threads/{thread_id}", params=query)
    assert response.status_code == 200, response.text
    kept: dict[str, Any] = response.json()
    return kept


def test_a_thread_without_state_is_404(joan: Client, thread_id: str) -> None:
    for name in (thread_id, uuid4()):
        response = joan.get(f"/api/provider-threads/{name}")
        assert response.status_code == 404
        assert isinstance(response.json()["detail"], str)
    assert joan.put(f"/api/provider-threads/{uuid4()}", json={}).status_code == 404


def test_a_state_has_every_field_and_is_read_as_it_was_put(joan: Client, thread_id: str) -> None:
    payload = {"model": "m", "deep": [{"ключ": None}, 1.5, True]}

    kept = put(joan, thread_id, provider="other", conversation_id="conv-1", payload=payload)

    assert set(kept) == FIELDS
    assert str(UUID(kept["id"])) == kept["id"]
    assert kept["thread_id"] == thread_id
    assert (kept["provider"], kept["conversation_id"], kept["payload"]) == ("other", "conv-1", payload)
    assert get(joan, thread_id, "other") == kept


@pytest.mark.parametrize("body", [{}, dict.fromkeys(("provider", "conversation_id", "payload"))])
def test_an_empty_state_is_the_default_providers(joan: Client, thread_id: str, body: dict[str, Any]) -> None:
    kept = put(joan, thread_id, **body)

    assert (kept["provider"], kept["conversation_id"], kept["payload"]) == ("openai-compatible", None, {})
    assert get(joan, thread_id) == get(joan, thread_id, "openai-compatible") == kept


def test_a_second_put_replaces_the_first(joan: Client, thread_id: str) -> None:
    first = put(joan, thread_id, conversation_id="conv-1", payload={"old": 1})
    second = put(joan, thread_id, payload={"new": 2})

    unchanging = ("id", "thread_id", "provider", "created_at")
    assert {name: second[name] for name in unchanging} == {name: first[name] for name in unchanging}
    assert (second["conversation_id"], second["payload"]) == (None, {"new": 2})
    assert datetime.fromisoformat(second["updated_at"]) > datetime.fromisoformat(first["updated_at"])
    assert get(joan, thread_id) == second


def test_each_provider_of_a_thread_has_a_state_of_its_own(joan: Client, thread_id: str) -> None:
    first = put(joan, thread_id, provider="one", conversation_id="1")
    second = put(joan, thread_id, provider="two", conversation_id="2")

    assert first["id"] != second["id"]
    assert get(joan, thread_id, "one") == first
    assert get(joan, thread_id, "two") == second
    assert joan.get(f"/api/provider-threads/{thread_id}").status_code == 404
    elsewhere = joan.new_thread()["id"]
    assert joan.get(f"/api/provider-threads/{elsewhere}", params={"provider": "one"}).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "p" * 65),
        ("provider", 1),
        ("conversation_id", "c" * 256),
        ("conversation_id", 1),
        ("payload", []),
        ("payload", "text"),
    ],
)
def test_a_field_beyond_its_limit_is_422_and_changes_nothing(
    joan: Client, thread_id: str, field: str, value: Any
) -> None:
    kept = put(joan, thread_id, conversation_id="kept")

    response = joan.put(f"/api/provider-threads/{thread_id}", json={field: value})

    assert response.status_code == 422
    assert [problem["loc"] for problem in response.json()["detail"]] == [["body", field]]
    assert get(joan, thread_id) == kept


def test_fields_may_be_as_long_as_their_limit(joan: Client, thread_id: str) -> None:
    body = {"provider": "ж" * 64, "conversation_id": "ж" * 255}
    kept = put(joan, thread_id, **body)

    assert {name: kept[name] for name in body} == body
    assert get(joan, thread_id, "ж" * 64) == kept


def test_an_answer_keeps_the_providers_conversation(
    joan: Client, thread_id: str, provider: ProviderProcess, model: str
) -> None:
    provider.script(
        model, text_stream("a", conversation_id="conv-1"), text_stream("b", conversation_id="conv-2")
    )
    joan.send_message(thread_id, model=model, model_label="Nice")
    first = get(joan, thread_id)
    joan.send_message(thread_id)
    second = get(joan, thread_id)

    assert set(first) == FIELDS
    assert (first["provider"], first["conversation_id"]) == ("openai-compatible", "conv-1")
    assert first["payload"] == {"model": model, "model_label": "Nice"}
    assert (second["id"], second["conversation_id"]) == (first["id"], "conv-2")
    asked = [request.json.get("conversation_id") for request in provider.requests(model)]
    assert asked == [None, "conv-1"]


def test_a_conversation_that_was_put_is_sent_with_the_next_message(
    joan: Client, thread_id: str, provider: ProviderProcess, model: str
) -> None:
    put(joan, thread_id, conversation_id="put-by-hand")
    put(joan, thread_id, provider="other", conversation_id="not-this-one")

    joan.send_message(thread_id, model=model)

    [request] = provider.requests(model)
    assert request.json["conversation_id"] == "put-by-hand"


def test_racing_puts_leave_one_state(joan: Client, thread_id: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        kept = list(threads.map(lambda n: put(joan, thread_id, conversation_id=str(n)), range(6)))

    assert len({item["id"] for item in kept}) == 1
    assert get(joan, thread_id) in kept
