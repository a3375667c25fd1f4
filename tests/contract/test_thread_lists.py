"""The list of threads: what it shows, in which order, and how it is counted."""

from collections.abc import Callable
from typing import Any

from tests.clients import Client


def full_thread(client: Client, model: str, title: str = "Titled", **body: Any) -> dict[str, Any]:
    """A thread that lists show: it has a title and holds messages."""
    thread = client.new_thread(title=title, **body)
    assert client.send_message(thread["id"], model=model).status_code == 201
    return thread


def listed(client: Client, **query: Any) -> tuple[list[str], dict[str, Any]]:
    response = client.get("/api/threads", params=query)
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"items", "pagination"}
    return [item["id"] for item in body["items"]], body["pagination"]


def test_lists_leave_out_what_is_deleted_untitled_or_empty(user: Client, model: str) -> None:
    full = full_thread(user, model)
    deleted = full_thread(user, model)
    user.delete(f"/api/threads/{deleted['id']}")
    titled_only = user.new_thread(title="No message yet")
    bare = user.new_thread()

    shown, pagination = listed(user)
    everything, whole = listed(user, include_deleted=True)

    assert shown == [full["id"]]
    assert pagination == {"total": 1, "page": 1, "limit": 20, "has_more": False}
    assert everything == [bare["id"], titled_only["id"], deleted["id"], full["id"]]
    assert whole == {"total": 4, "page": 1, "limit": 20, "has_more": False}
    assert listed(user, include_deleted=False) == (shown, pagination)


def test_a_thread_joins_the_list_with_its_first_message_and_a_restored_one_rejoins(
    user: Client, model: str
) -> None:
    thread = user.new_thread()
    assert listed(user)[1]["total"] == 0
    user.send_message(thread["id"], model=model)
    assert (listed(user)[0], listed(user)[1]["total"]) == ([thread["id"]], 1)

    for _ in range(2):
        user.patch(f"/api/threads/{thread['id']}", json={"is_deleted": True})
    assert (listed(user)[0], listed(user)[1]["total"]) == ([], 0)
    for _ in range(2):
        user.patch(f"/api/threads/{thread['id']}", json={"is_deleted": False})
    assert (listed(user)[0], listed(user)[1]["total"]) == ([thread["id"]], 1)


def test_a_list_item_is_the_whole_thread(user: Client, model: str) -> None:
    thread = full_thread(user, model, summary="s", metadata={"k": "v"})
    [item] = user.get("/api/threads").json()["items"]

    detail = user.get(f"/api/threads/{thread['id']}").json()
    del detail["last_messages"]
    assert item == detail


def test_pages_are_newest_first_and_meet_without_gap(user: Client, model: str) -> None:
    made = [full_thread(user, model, title=f"Thread {number}")["id"] for number in range(5)]
    newest_first = made[::-1]

    pages = [listed(user, page=page, limit=2) for page in (1, 2, 3, 4)]

    assert [ids for ids, _ in pages] == [newest_first[:2], newest_first[2:4], newest_first[4:], []]
    assert [pagination for _, pagination in pages] == [
        {"total": 5, "page": page, "limit": 2, "has_more": page < 3} for page in (1, 2, 3, 4)
    ]
    assert listed(user, limit=5) == (newest_first, {"total": 5, "page": 1, "limit": 5, "has_more": False})


def test_a_limit_beyond_100_is_100(user: Client) -> None:
    made = [user.new_thread()["id"] for _ in range(101)]

    first, pagination = listed(user, limit=1000, include_deleted=True)
    second, rest = listed(user, limit=1000, page=2, include_deleted=True)

    assert first + second == made[::-1]
    assert pagination == {"total": 101, "page": 1, "limit": 100, "has_more": True}
    assert rest == {"total": 101, "page": 2, "limit": 100, "has_more": False}
    assert len(listed(user, include_deleted=True)[0]) == 20


def test_lists_hold_only_the_callers_own(new_user: Callable[..., Client], model: str) -> None:
    mine, theirs = new_user(), new_user(roles=["admin"])
    thread = full_thread(mine, model)

    assert listed(theirs, include_deleted=True) == (
        [],
        {"total": 0, "page": 1, "limit": 20, "has_more": False},
    )
    assert listed(mine)[0] == [thread["id"]]
