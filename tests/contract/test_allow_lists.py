"""Allow lists: which products and agents a caller may touch, in every spelling and on every verb."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.clients import data
from tests.provider.client import ProviderProcess
from tests.servers import PASSWORD, ServerProcess

NewUser = Callable[..., Client]
PRODUCT_KEYS = ("product_id", "productId", "product")
AGENT_KEYS = ("agent_id", "agentId", "agent")
NAMES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(PRODUCT_KEYS, ("p-yes", "p-no")),
    **dict.fromkeys(AGENT_KEYS, ("a-yes", "a-no")),
}
SHAPES: dict[str, Callable[[str], Any]] = {
    "text": lambda name: name,
    "object with id": lambda name: {"id": name},
    "object with value": lambda name: {"value": name, "label": "Something else"},
}
WRONG_KINDS = [
    1,
    0,
    True,
    False,
    1.5,
    [],
    ["p-yes"],
    {},
    {"name": "p-yes"},
    {"id": 1},
    {"id": ["p-yes"]},
    {"id": {"id": "p-yes"}},
    {"value": ["p-yes"]},
    {"id": "p-yes", "value": 1},
]


@pytest.fixture(scope="module")
def limited(server: ServerProcess, admin: Client) -> Iterator[Client]:
    """An account with both lists filled, for tests that look at no list of threads."""
    name = unique("limited")
    lists = {"allowed_products": ["p-yes", "p-also"], "allowed_agents": ["a-yes"]}
    admin.post("/api/auth/register", json={"username": name, "password": PASSWORD, **lists})
    with server.client().sign_in(name, PASSWORD) as client:
        yield client


def allow(admin: Client, client: Client, products: list[str], agents: list[str]) -> None:
    """Fill the lists of an account that is there already."""
    change = "mutation ($i: UpdateUserInput!) { updateUser(input: $i) { __typename } }"
    user_id = client.get("/api/auth/me").json()["id"]
    data(admin, change, i={"userId": user_id, "allowedProducts": products, "allowedAgents": agents})


def create(client: Client, metadata: dict[str, Any], word: str = "metadata") -> int:
    response = client.post("/api/threads", json={word: metadata})
    if response.status_code == 403:
        assert isinstance(response.json()["detail"], str)
    return response.status_code


def change(client: Client, thread_id: str, metadata: dict[str, Any], word: str = "metadata") -> int:
    return client.patch(f"/api/threads/{thread_id}", json={word: metadata}).status_code


def metadata_of(client: Client, thread_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/threads/{thread_id}").json()["metadata"]
    return found


@pytest.mark.parametrize("word", ["metadata", "attributes"])
@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_spelling_and_shape_is_checked_on_create_and_change(
    limited: Client, word: str, key: str, shape: Callable[[str], Any]
) -> None:
    yes, no = (shape(name) for name in NAMES[key])
    thread_id = limited.new_thread()["id"]

    assert create(limited, {key: yes}, word) == 201
    assert create(limited, {key: no}, word) == 403
    assert change(limited, thread_id, {key: yes}, word) == 200
    assert change(limited, thread_id, {key: no, "new": 1}, word) == 403
    assert metadata_of(limited, thread_id) == {key: yes}


@pytest.mark.parametrize("keys", [PRODUCT_KEYS, AGENT_KEYS])
def test_every_spelling_that_is_present_is_checked(limited: Client, keys: tuple[str, ...]) -> None:
    yes, no = NAMES[keys[0]]

    assert create(limited, dict.fromkeys(keys, yes)) == 201
    for bad in keys:
        assert create(limited, {**dict.fromkeys(keys, yes), bad: no}) == 403
        assert create(limited, {bad: {"id": yes, "value": no}}) == 403
        assert create(limited, {bad: {"id": no, "value": yes}}) == 403
    assert create(limited, {"product_id": "p-yes", "agent": {"id": "a-yes"}}) == 201
    assert create(limited, {"product_id": "p-yes", "agent": {"id": "a-no"}}) == 403
    assert create(limited, {"product_id": "p-no", "agent": {"id": "a-yes"}}) == 403
    assert create(limited, {"product_id": "a-yes"}) == 403


@pytest.mark.parametrize("name", ["P-YES", " p-yes", "p-yes\u200b", "p-yes,p-no", "p-ye", "*", "p\u2010yes"])
def test_only_the_exact_name_is_on_the_list(limited: Client, name: str) -> None:
    assert create(limited, {"product_id": name}) == 403


@pytest.mark.parametrize("value", WRONG_KINDS, ids=repr)
def test_a_value_of_any_other_kind_is_422(limited: Client, admin: Client, value: Any) -> None:
    for client in (limited, admin):
        thread_id = client.new_thread()["id"]
        for key in NAMES:
            response = client.post("/api/threads", json={"metadata": {key: value}})
            assert response.status_code == 422
            assert response.json()["detail"][0]["loc"][:2] == ["body", "metadata"]
            assert change(client, thread_id, {key: value}) == 422
        assert metadata_of(client, thread_id) == {}


def test_a_second_word_for_metadata_is_no_way_round(limited: Client) -> None:
    bad, good = {"product_id": "p-no"}, {"product_id": "p-yes"}
    for body in ({"metadata": good, "attributes": bad}, {"attributes": bad, "metadata": good}):
        response = limited.post("/api/threads", json=body)
        assert response.status_code == 403 or response.json()["metadata"] == good


def test_threads_that_name_nothing_are_everybodys(limited: Client) -> None:
    for metadata in ({}, {"product_id": None, "agent": None}, {"nested": {"product_id": "p-no"}}):
        assert create(limited, metadata) == 201


def test_an_empty_list_allows_everything(new_user: NewUser) -> None:
    anyone, products_only = new_user(), new_user(allowed_products=["p-yes"])

    assert create(anyone, {"product_id": "p-no", "agent_id": "a-no"}) == 201
    assert create(products_only, {"product_id": "p-yes", "agent_id": "a-no"}) == 201
    assert create(products_only, {"product_id": "p-no", "agent_id": "a-no"}) == 403


@pytest.mark.parametrize("metadata", [{"product": {"value": "p-no"}}, {"agentId": "a-no"}], ids=repr)
def test_a_thread_outside_the_lists_is_403_on_every_verb(
    admin: Client, user: Client, model: str, metadata: dict[str, Any]
) -> None:
    thread_id = user.new_thread(title="Out of bounds", metadata=metadata)["id"]
    files = [{"filename": "a.txt", "data_base64": base64.b64encode(b"bytes").decode()}]
    sent = user.post(
        f"/api/threads/{thread_id}/messages", json={"text": "Hi", "model": model, "attachments": files}
    )
    download = sent.json()["attachments"][0]["download_url"]
    path, run = f"/api/threads/{thread_id}", f"/api/runs/{sent.headers['X-Run-Id']}"
    verbs: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("PATCH", path, {"title": "Changed"}),
        ("PATCH", path, {"metadata": {}}),
        ("PATCH", path, {"is_deleted": True}),
        ("DELETE", path, None),
        *(("GET", f"{path}/export?format={name}", None) for name in ("markdown", "pdf", "docx")),
        ("GET", f"{path}/messages", None),
        ("POST", f"{path}/messages", {"text": "Hi", "model": model}),
        ("POST", f"{path}/messages/stream", {"text": "Hi", "model": model}),
        ("PATCH", f"{path}/messages/{sent.json()['id']}", {"text": "Changed"}),
        ("GET", f"/api/provider-threads/{thread_id}", None),
        ("PUT", f"/api/provider-threads/{thread_id}", {"conversation_id": "c"}),
        ("GET", download, None),
        ("GET", run, None),
        ("GET", f"{run}/events", None),
        ("POST", f"{run}/cancel", None),
    ]
    before = user.get(path).content
    allow(admin, user, ["p-yes"], ["a-yes", model])

    for method, url, body in verbs:
        response = user.request(method, url, json=body)
        assert response.status_code == 403, (method, url, response.text)
        assert isinstance(response.json()["detail"], str)

    allow(admin, user, [], [])
    assert user.get(path).content == before
    assert user.get(download).content == b"bytes"


def test_a_deleted_thread_outside_the_lists_cannot_be_restored(admin: Client, user: Client) -> None:
    thread_id = user.new_thread(metadata={"product_id": "p-no"})["id"]
    user.delete(f"/api/threads/{thread_id}")
    allow(admin, user, ["p-yes"], [])

    assert user.patch(f"/api/threads/{thread_id}", json={"is_deleted": False}).status_code == 403
    allow(admin, user, [], [])
    assert user.get(f"/api/threads/{thread_id}").status_code == 404


def test_a_foreign_thread_outside_the_lists_is_404(limited: Client, user: Client) -> None:
    thread_id = user.new_thread(metadata={"product_id": "p-no"})["id"]

    assert limited.get(f"/api/threads/{thread_id}").status_code == 404
    assert change(limited, thread_id, {"product_id": "p-yes"}) == 404
    assert limited.send_message(thread_id, model="a-yes").status_code == 404


def test_a_list_leaves_out_what_is_outside_of_totals_too(admin: Client, user: Client, model: str) -> None:
    def listed(**query: Any) -> tuple[list[str], int, bool]:
        body = user.get("/api/threads", params=query).json()
        pagination = body["pagination"]
        return [item["id"] for item in body["items"]], pagination["total"], pagination["has_more"]

    made: dict[str, list[str]] = {"yes": [], "no": []}
    for number in range(3):
        for word in ("yes", "no"):
            spelling = {PRODUCT_KEYS[number]: {"id": f"p-{word}"}, "agent": f"a-{word}"}
            made[word].insert(0, user.new_thread(title=word, metadata=spelling)["id"])
            user.send_message(made[word][0], model=model)
    deleted = made["yes"][0]
    user.delete(f"/api/threads/{deleted}")

    allow(admin, user, ["p-yes"], ["a-yes", model])
    assert listed() == (made["yes"][1:], 2, False)
    assert listed(limit=1) == (made["yes"][1:2], 2, True)
    assert listed(limit=1, page=2) == (made["yes"][2:], 2, False)
    assert listed(include_deleted=True) == (made["yes"], 3, False)
    allow(admin, user, ["p-elsewhere"], [])
    assert listed(include_deleted=True) == ([], 0, False)
    allow(admin, user, [], [])
    assert listed()[1] == 5
    assert listed(include_deleted=True)[1] == 6


def test_a_caller_with_a_list_of_agents_names_only_those_as_model(
    provider: ProviderProcess, new_user: NewUser, model: str
) -> None:
    limited, other = new_user(allowed_agents=[model]), unique("model")
    fresh, remembered = limited.new_thread(), limited.new_thread(metadata={"model": other})

    for thread, body in ((fresh, {"model": other}), (remembered, {})):
        path = f"/api/threads/{thread['id']}/messages"
        assert limited.post(path, json={"text": "Hi", **body}).status_code == 403
        assert limited.post(f"{path}/stream", json={"text": "Hi", **body}).status_code == 403
        assert limited.messages(thread["id"]) == []
    assert metadata_of(limited, fresh["id"]) == {}
    assert provider.requests(other) == []
    assert limited.send_message(fresh["id"], model=model).status_code == 201
    assert limited.send_message(remembered["id"], model=model).status_code == 201


def test_a_list_of_products_says_nothing_about_models(new_user: NewUser, model: str) -> None:
    limited = new_user(allowed_products=["p-yes"])

    assert limited.send_message(limited.new_thread()["id"], model=model).status_code == 201
