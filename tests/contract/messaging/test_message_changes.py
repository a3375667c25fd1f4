"""Messages listed and changed, and who may do so at all."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.servers import ServerProcess

NOBODYS = str(uuid4())


@pytest.fixture
def message(user: Client, thread_id: str, model: str) -> dict[str, Any]:
    sent: dict[str, Any] = user.send_message(thread_id, "Hello", model=model).json()
    return sent


def url_of(message: dict[str, Any]) -> str:
    return f"/api/threads/{message['thread_id']}/messages/{message['id']}"


# --- lists -------------------------------------------------------------------------------


def test_messages_are_listed_newest_first_page_by_page(user: Client, thread_id: str, model: str) -> None:
    for text in ("one", "two", "three"):
        user.send_message(thread_id, text, model=model)

    whole = user.get(f"/api/threads/{thread_id}/messages").json()
    assert [message["text"] for message in whole["items"]] == ["three", "three", "two", "two", "one", "one"]
    assert [message["sender_type"] for message in whole["items"]] == ["assistant", "user"] * 3
    assert whole["pagination"] == {"total": 6, "page": 1, "limit": 20, "has_more": False}
    pages = [
        user.get(f"/api/threads/{thread_id}/messages", params={"page": page, "limit": 4}).json()
        for page in (1, 2, 3)
    ]
    assert [page["items"] for page in pages] == [whole["items"][:4], whole["items"][4:], []]
    assert [page["pagination"]["has_more"] for page in pages] == [True, False, False]
    assert [page["pagination"]["total"] for page in pages] == [6, 6, 6]


def test_a_limit_above_100_is_cut_to_100(user: Client, thread_id: str) -> None:
    page = user.get(f"/api/threads/{thread_id}/messages", params={"limit": 101}).json()

    assert page == {"items": [], "pagination": {"total": 0, "page": 1, "limit": 100, "has_more": False}}


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": -1}, {"page": 0}, {"limit": "many"}])
def test_pages_and_limits_start_at_one(user: Client, thread_id: str, query: dict[str, Any]) -> None:
    assert user.get(f"/api/threads/{thread_id}/messages", params=query).status_code == 422


# --- changes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "stored"),
    [
        ({"status": "queued"}, {"status": "queued"}),
        ({"status": "processing"}, {"status": "processing"}),
        ({"status": "error", "error_code": "E-1"}, {"status": "error", "error_code": "E-1"}),
        ({"text": "Changed"}, {"text": "Changed"}),
        ({"error_code": "x" * 129}, {"error_code": "x" * 128}),
        ({"tokens_count": 0}, {"tokens_count": 0}),
        ({"tokens_count": 7}, {"tokens_count": 7}),
        ({"status": None, "text": None, "error_code": None, "tokens_count": None}, {}),
        ({}, {}),
        ({"sender_type": "assistant", "sender_id": "x", "metadata": {"a": 1}, "unknown": 1}, {}),
    ],
)
def test_a_message_changes_in_what_was_named_only(
    user: Client, message: dict[str, Any], change: dict[str, Any], stored: dict[str, Any]
) -> None:
    response = user.patch(url_of(message), json=change)

    assert response.status_code == 200
    changed = response.json()
    assert changed == {**message, **stored, "updated_at": changed["updated_at"]}
    times = [datetime.fromisoformat(item["updated_at"]) for item in (message, changed)]
    assert times[0] <= times[1]
    assert user.messages(message["thread_id"])[1] == changed


def test_an_answer_can_be_changed_too(user: Client, message: dict[str, Any]) -> None:
    answer = user.messages(message["thread_id"])[0]

    assert user.patch(url_of(answer), json={"text": "Better"}).json()["text"] == "Better"
    assert [item["text"] for item in user.messages(message["thread_id"])] == ["Better", "Hello"]


def test_a_changed_text_is_what_the_provider_is_told_next(
    user: Client, provider: ProviderProcess, message: dict[str, Any], model: str
) -> None:
    user.patch(url_of(message), json={"text": "Changed"})
    user.send_message(message["thread_id"], "Next")

    told = provider.requests(model)[1].json["messages"]
    assert [item["content"] for item in told] == ["Changed", "Hello", "Next"]


@pytest.mark.parametrize(
    "change", [{"status": "done"}, {"tokens_count": -1}, {"tokens_count": "many"}, {"text": 7}, []]
)
def test_a_change_that_cannot_be_is_refused(user: Client, message: dict[str, Any], change: Any) -> None:
    response = user.patch(url_of(message), json=change)

    assert response.status_code == 422
    assert isinstance(response.json()["detail"], list)
    assert user.messages(message["thread_id"])[1] == message


def test_a_message_is_found_in_its_own_thread_only(user: Client, message: dict[str, Any]) -> None:
    other = user.new_thread()["id"]

    for url in (
        url_of({**message, "thread_id": other}),
        url_of({**message, "id": NOBODYS}),
        url_of({**message, "thread_id": NOBODYS}),
    ):
        assert user.patch(url, json={"text": "Mine"}).status_code == 404


# --- who may -----------------------------------------------------------------------------


def every_call(client: Client, thread_id: str, message_id: str) -> Iterator[tuple[str, Any]]:
    """Each call of this noun, with bodies that would succeed for the owner."""
    base, body = f"/api/threads/{thread_id}/messages", {"text": "Hi", "model": unique("model")}
    yield "list", client.get(base)
    yield "send", client.post(base, json=body)
    yield "stream", client.post(f"{base}/stream", json=body)
    yield "change", client.patch(f"{base}/{message_id}", json={"text": "Mine"})


def test_without_a_token_nothing_is_answered(server: ServerProcess, message: dict[str, Any]) -> None:
    with server.client() as stranger:
        for call, response in every_call(stranger, message["thread_id"], message["id"]):
            assert (call, response.status_code) == (call, 401)
            assert response.headers["www-authenticate"] == "Bearer"


def test_another_users_thread_is_one_that_never_was(
    user: Client, new_user: Callable[..., Client], message: dict[str, Any]
) -> None:
    stranger = new_user()
    foreign = list(every_call(stranger, message["thread_id"], message["id"]))
    never = list(every_call(stranger, NOBODYS, NOBODYS))

    for (call, one), (_, other) in zip(foreign, never, strict=True):
        assert (call, one.status_code, one.content) == (call, 404, other.content)
        assert isinstance(one.json()["detail"], str)
    assert len(user.messages(message["thread_id"])) == 2


def test_a_deleted_thread_takes_its_messages_with_it(user: Client, message: dict[str, Any]) -> None:
    user.delete(f"/api/threads/{message['thread_id']}")

    for call, response in every_call(user, message["thread_id"], message["id"]):
        assert (call, response.status_code) == (call, 404)

    user.patch(f"/api/threads/{message['thread_id']}", json={"is_deleted": False})
    assert len(user.messages(message["thread_id"])) == 2


def test_only_an_allowed_agent_may_be_named_as_model(
    new_user: Callable[..., Client], provider: ProviderProcess, model: str
) -> None:
    client = new_user(allowed_agents=[model])
    thread_id = client.new_thread()["id"]
    other = unique("other")

    for send in ("messages", "messages/stream"):
        url = f"/api/threads/{thread_id}/{send}"
        assert client.post(url, json={"text": "Hi", "model": other}).status_code == 403
    assert client.messages(thread_id) == []
    assert client.send_message(thread_id, model=model).status_code == 201
    assert provider.requests(other) == []


def test_a_forbidden_model_is_not_used_because_the_thread_remembers_it(
    new_user: Callable[..., Client], model: str
) -> None:
    client = new_user(allowed_agents=[model])
    thread_id = client.new_thread(metadata={"model": unique("other")})["id"]

    assert client.send_message(thread_id).status_code == 403


@pytest.mark.parametrize("route", ["messages", "messages/stream"])
def test_errors_known_before_the_answer_are_plain_http(
    user: Client, thread_id: str, model: str, route: str
) -> None:
    said = {"text": "Hi", "model": model}
    bad_file = {"filename": "a", "data_base64": "%"}
    cases: list[tuple[int, str, Any]] = [
        (404, NOBODYS, said),
        (400, thread_id, {"text": "Hi"}),
        (400, thread_id, said | {"attachments": [bad_file]}),
        (422, thread_id, said | {"text": ""}),
        (422, thread_id, {"model": model}),
        (422, "not-a-uuid", said),
        (422, thread_id, [said]),
    ]
    for status, thread, body in cases:
        response = user.post(f"/api/threads/{thread}/{route}", json=body)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
        assert response.json().keys() == {"detail"}
    assert user.messages(thread_id) == []
