"""Threads: made, listed, read, changed, deleted and restored, field by field."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.servers import PASSWORD, ServerProcess

Thread = dict[str, Any]
FIELDS = {
    *("id", "owner_id", "title", "summary", "metadata", "is_deleted"),
    *("created_at", "updated_at", "deleted_at"),
}


@pytest.fixture(scope="module")
def grace(server: ServerProcess, admin: Client) -> Iterator[Client]:
    """One account for all tests that look at single threads."""
    name = unique("grace")
    admin.post("/api/auth/register", json={"username": name, "password": PASSWORD}).raise_for_status()
    with server.client().sign_in(name, PASSWORD) as client:
        yield client


def instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() == timedelta(0)
    return moment


def patch(client: Client, thread: Thread, **body: Any) -> Thread:
    response = client.patch(f"/api/threads/{thread['id']}", json=body)
    assert response.status_code == 200, response.text
    changed: Thread = response.json()
    assert set(changed) == FIELDS
    return changed


def status(client: Client, thread: Thread) -> int:
    return client.get(f"/api/threads/{thread['id']}").status_code


def full_thread(client: Client, model: str, title: str = "Titled", **body: Any) -> Thread:
    """A thread that lists show: it has a title and holds messages."""
    thread = client.new_thread(title=title, **body)
    assert client.send_message(thread["id"], model=model).status_code == 201
    return thread


def test_a_new_thread_has_every_field(grace: Client) -> None:
    me = grace.get("/api/auth/me").json()
    metadata = {"model": "m", "n": [1, 2.5, None, True, {"ключ": "😀"}]}

    thread = grace.new_thread(title="Поездка", summary="Into the hills", metadata=metadata)

    assert set(thread) == FIELDS
    assert str(UUID(thread["id"])) == thread["id"]
    assert thread["owner_id"] == me["id"]
    assert (thread["title"], thread["summary"]) == ("Поездка", "Into the hills")
    assert thread["metadata"] == metadata
    assert (thread["is_deleted"], thread["deleted_at"]) == (False, None)
    assert abs(datetime.now(UTC) - instant(thread["created_at"])) < timedelta(minutes=1)
    assert instant(thread["updated_at"]) >= instant(thread["created_at"])


@pytest.mark.parametrize("body", [{}, {"title": None, "summary": None, "metadata": None}])
def test_a_thread_may_be_made_of_nothing(grace: Client, body: dict[str, Any]) -> None:
    thread = grace.new_thread(**body)

    assert (thread["title"], thread["summary"], thread["metadata"]) == (None, None, {})


def test_metadata_may_be_sent_as_attributes(grace: Client) -> None:
    thread = grace.new_thread(attributes={"color": "red"})
    assert thread["metadata"] == {"color": "red"}
    assert patch(grace, thread, attributes={"size": 1})["metadata"] == {"size": 1}
    assert patch(grace, thread, metadata=None, attributes={"size": 2})["metadata"] == {"size": 2}
    assert grace.new_thread(metadata=None, attributes={"size": 3})["metadata"] == {"size": 3}


@pytest.mark.parametrize(("field", "longest"), [("title", 255), ("summary", 1024)])
def test_texts_have_their_limits(grace: Client, field: str, longest: int) -> None:
    text = "🧭" * longest
    thread = grace.new_thread(**{field: text})
    assert grace.get(f"/api/threads/{thread['id']}").json()[field] == text

    for response in (
        grace.post("/api/threads", json={field: text + "x"}),
        grace.patch(f"/api/threads/{thread['id']}", json={field: text + "x"}),
    ):
        assert response.status_code == 422
        assert [problem["loc"] for problem in response.json()["detail"]] == [["body", field]]
    assert grace.get(f"/api/threads/{thread['id']}").json()[field] == text


def test_a_detail_is_the_thread_and_its_last_messages_newest_first(grace: Client, model: str) -> None:
    thread = grace.new_thread(title="Talk", summary="s", metadata={"model": model})
    for text in ("one", "two", "three"):
        grace.send_message(thread["id"], text)
    newest_first = grace.messages(thread["id"])

    detail = grace.get(f"/api/threads/{thread['id']}").json()

    assert set(detail) == {*FIELDS, "last_messages"}
    unchanging = ("id", "owner_id", "title", "summary", "created_at")
    assert {name: detail[name] for name in unchanging} == {name: thread[name] for name in unchanging}
    assert len(newest_first) == 6
    assert detail["last_messages"] == newest_first[:5]
    assert [item["text"] for item in detail["last_messages"]] == ["three", "three", "two", "two", "one"]
    for number in (1, 2, 6, 50):
        answer = grace.get(f"/api/threads/{thread['id']}", params={"messages_limit": number}).json()
        assert answer["last_messages"] == newest_first[:number]


@pytest.mark.parametrize("number", ["0", "51", "-1", "x"])
def test_a_detail_has_1_to_50_messages(grace: Client, number: str) -> None:
    thread = grace.new_thread()
    response = grace.get(f"/api/threads/{thread['id']}", params={"messages_limit": number})

    assert response.status_code == 422
    assert [problem["loc"] for problem in response.json()["detail"]] == [["query", "messages_limit"]]


@pytest.mark.parametrize(
    "change",
    [{"title": "After"}, {"summary": "After"}, {"metadata": {"after": {"deep": True}}}, {"metadata": {}}],
)
def test_a_change_leaves_the_rest_as_it_was(grace: Client, change: dict[str, Any]) -> None:
    thread = grace.new_thread(title="Before", summary="Before", metadata={"before": 1, "too": 2})

    changed = patch(grace, thread, **change)

    assert {**changed, "updated_at": None} == {**thread, **change, "updated_at": None}
    assert instant(changed["updated_at"]) > instant(thread["updated_at"])
    detail = grace.get(f"/api/threads/{thread['id']}").json()
    assert {name: detail[name] for name in FIELDS} == changed


@pytest.mark.parametrize("fields", [("title", "summary", "metadata", "attributes", "is_deleted"), ()])
def test_a_null_in_a_change_is_as_if_absent(grace: Client, fields: tuple[str, ...]) -> None:
    thread = grace.new_thread(title="Before", summary="Before", metadata={"before": 1})

    changed = patch(grace, thread, **dict.fromkeys(fields))

    assert {**changed, "updated_at": None} == {**thread, "updated_at": None}


def test_the_mark_of_deletion_sets_and_clears_its_time(grace: Client) -> None:
    thread = grace.new_thread(title="Now you see me")

    deleted = patch(grace, thread, is_deleted=True)
    assert deleted["is_deleted"] is True
    assert instant(thread["created_at"]) < instant(deleted["deleted_at"]) <= datetime.now(UTC)
    assert status(grace, thread) == 404
    restored = patch(grace, thread, is_deleted=False)
    assert (restored["is_deleted"], restored["deleted_at"]) == (False, None)
    assert status(grace, thread) == 200


def test_a_deleted_thread_can_be_patched_and_stays_deleted(grace: Client) -> None:
    thread = grace.new_thread(title="Before")
    deleted = patch(grace, thread, is_deleted=True)

    changed = patch(grace, thread, title="After", is_deleted=None)

    assert (changed["title"], changed["is_deleted"]) == ("After", True)
    assert changed["deleted_at"] == deleted["deleted_at"]
    assert status(grace, thread) == 404


def test_a_thread_can_be_deleted_twice_and_restored_whole(grace: Client, model: str) -> None:
    thread = full_thread(grace, model)
    path = f"/api/threads/{thread['id']}"
    before = grace.get(path).json()

    answers = [grace.delete(path) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2
    assert status(grace, thread) == 404

    patch(grace, thread, is_deleted=False)
    assert {**grace.get(path).json(), "updated_at": None} == {**before, "updated_at": None}
    assert grace.send_message(thread["id"], model=model).status_code == 201


def test_a_deleted_thread_is_404_to_all_but_changes(grace: Client, model: str) -> None:
    thread = full_thread(grace, model)
    path = f"/api/threads/{thread['id']}"
    message = grace.messages(thread["id"])[0]
    grace.delete(path)

    for method, url, body in (
        ("GET", path, None),
        ("GET", f"{path}/export", None),
        ("GET", f"{path}/messages", None),
        ("POST", f"{path}/messages", {"text": "Hi", "model": model}),
        ("POST", f"{path}/messages/stream", {"text": "Hi", "model": model}),
        ("PATCH", f"{path}/messages/{message['id']}", {"text": "Changed"}),
        ("GET", f"/api/provider-threads/{thread['id']}", None),
        ("PUT", f"/api/provider-threads/{thread['id']}", {"conversation_id": "c"}),
    ):
        assert grace.request(method, url, json=body).status_code == 404, (method, url)


def test_a_foreign_thread_is_byte_for_byte_one_that_never_was(
    grace: Client, new_user: Callable[..., Client], model: str
) -> None:
    stranger = new_user(roles=["admin"])
    thread, nothing = full_thread(grace, model)["id"], str(uuid4())
    message = grace.messages(thread)[0]["id"]
    grace.put(f"/api/provider-threads/{thread}", json={"conversation_id": "mine"})
    before = (
        grace.get(f"/api/threads/{thread}").content,
        grace.get(f"/api/provider-threads/{thread}").content,
    )

    for method, url, body in (
        ("GET", "/api/threads/{0}", None),
        ("PATCH", "/api/threads/{0}", {"title": "Mine", "is_deleted": True}),
        ("PATCH", "/api/threads/{0}", {"metadata": {"product_id": "p"}}),
        ("DELETE", "/api/threads/{0}", None),
        ("GET", "/api/threads/{0}/export", None),
        ("GET", "/api/threads/{0}/messages", None),
        ("GET", "/api/threads/{0}/messages?page=5", None),
        ("POST", "/api/threads/{0}/messages", {"text": "Hi", "model": model}),
        ("POST", "/api/threads/{0}/messages", {"text": "Hi"}),
        ("POST", "/api/threads/{0}/messages/stream", {"text": "Hi", "model": model}),
        ("PATCH", "/api/threads/{0}/messages/" + message, {"text": "Mine"}),
        ("GET", "/api/provider-threads/{0}", None),
        ("PUT", "/api/provider-threads/{0}", {"conversation_id": "theirs"}),
    ):
        seen = [stranger.request(method, url.format(name), json=body) for name in (thread, nothing)]
        assert [answer.status_code for answer in seen] == [404, 404], (method, url)
        assert seen[0].content == seen[1].content
        for answer in seen:
            answer.headers.pop("x-request-id")
            answer.headers.pop("date")
        assert seen[0].headers == seen[1].headers
    assert before == (
        grace.get(f"/api/threads/{thread}").content,
        grace.get(f"/api/provider-threads/{thread}").content,
    )
