"""What holds for every route: JSON, refusals, cross-origin calls, pages and bodies that mean harm."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.servers import ServerProcess

NOBODYS = "6d1f0a52-3f0e-4c39-8c1b-9b0f4a1f7c11"
PROTECTED = [
    ("POST", "/api/auth/logout"),
    ("GET", "/api/auth/me"),
    ("POST", "/api/threads"),
    ("GET", "/api/threads"),
    ("GET", f"/api/threads/{NOBODYS}"),
    ("PATCH", f"/api/threads/{NOBODYS}"),
    ("DELETE", f"/api/threads/{NOBODYS}"),
    ("GET", f"/api/threads/{NOBODYS}/export"),
    ("GET", f"/api/threads/{NOBODYS}/messages"),
    ("POST", f"/api/threads/{NOBODYS}/messages"),
    ("POST", f"/api/threads/{NOBODYS}/messages/stream"),
    ("PATCH", f"/api/threads/{NOBODYS}/messages/{NOBODYS}"),
    ("GET", "/api/models"),
    ("GET", f"/api/provider-threads/{NOBODYS}"),
    ("PUT", f"/api/provider-threads/{NOBODYS}"),
    ("GET", "/api/attachments/file.txt"),
]
PREFLIGHT = {
    "Origin": "https://elsewhere.example",
    "Access-Control-Request-Headers": "authorization,content-type,accept,x-skip-auth-refresh",
}


def assert_refused(response: httpx.Response) -> None:
    assert response.status_code == 401, response.text
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/json"
    assert list(response.json()) == ["detail"]
    assert isinstance(response.json()["detail"], str)


def header_list(response: httpx.Response, name: str) -> set[str]:
    return {item.strip().lower() for item in response.headers[name].split(",")}


@pytest.fixture(scope="module")
def guest(server: ServerProcess) -> Iterator[Client]:
    """Nobody: a client without a token."""
    with server.client() as client:
        yield client


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}])
def test_health_needs_no_prefix_and_no_token(guest: Client, headers: dict[str, str]) -> None:
    response = guest.get("/health", headers=headers)

    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_a_route_without_a_token_is_401(guest: Client, method: str, path: str) -> None:
    assert_refused(guest.request(method, path, json={"text": "Hi", "model": "m"}))


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_a_route_with_a_worthless_token_is_401(guest: Client, method: str, path: str) -> None:
    body = {"text": "Hi", "model": "m"}
    assert_refused(guest.request(method, path, json=body, headers={"Authorization": "Bearer a.b.c"}))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Basic YTpi",
        b"Token abc",
        b"abc",
        b"Bearer a b",
        b"Bearer ..",
        b"Bearer \xd0\xb6\xff",
    ],
)
def test_a_malformed_authorization_header_is_401(guest: Client, value: bytes) -> None:
    assert_refused(guest.get("/api/auth/me", headers=[(b"Authorization", value)]))


def test_a_token_without_or_under_another_scheme_is_401(user: Client, guest: Client) -> None:
    token = user.headers["Authorization"].removeprefix("Bearer ")

    assert_refused(guest.get("/api/auth/me", headers={"Authorization": token}))
    assert_refused(guest.get("/api/auth/me", headers={"Authorization": f"Basic {token}"}))
    assert guest.get("/api/auth/me", headers={"Authorization": f"bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/api/no", 404), ("PUT", "/api/threads", 405)]
)
def test_what_does_not_exist_is_answered_in_json(guest: Client, method: str, path: str, status: int) -> None:
    response = guest.request(method, path)

    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    assert isinstance(response.json()["detail"], str)


def test_text_of_every_script_comes_back_as_it_was_sent(user: Client) -> None:
    sent = {"title": "Чат 漢字 🚀 \u200f עברית \u0301", "metadata": {"ключ": "значение 🧊", "q": '"\\/\b\n'}}

    thread = user.new_thread(**sent)

    assert {name: thread[name] for name in sent} == sent


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        ("/api/auth/login", {"username": "ada", "password": {"hush": "hush"}}, ["body", "password"]),
        ("/api/auth/login", {"username": ["hush"], "password": "x"}, ["body", "username"]),
        ("/api/auth/login", "hush", ["body"]),
        ("/api/auth/refresh", {"refresh_token": ["hush"]}, ["body", "refresh_token"]),
        ("/api/auth/register", {"username": "", "password": "hush"}, ["body", "username"]),
        ("/api/threads", {"metadata": ["hush"]}, ["body", "metadata"]),
        ("/api/threads", {"metadata": {"product_id": ["hush"]}}, ["body", "metadata", "product_id"]),
    ],
)
def test_a_validation_error_is_a_list_that_echoes_nothing(
    admin: Client, path: str, body: Any, loc: list[str]
) -> None:
    response = admin.post(path, json=body)

    assert response.status_code == 422
    [problem] = response.json()["detail"]
    assert problem["loc"] == loc
    assert isinstance(problem["msg"], str)
    assert isinstance(problem["type"], str)
    assert "hush" not in response.text


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_browsers_elsewhere_may_use_every_verb_and_the_documented_headers(guest: Client, method: str) -> None:
    headers = {**PREFLIGHT, "Access-Control-Request-Method": method}
    response = guest.options(f"/api/threads/{NOBODYS}", headers=headers)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert method.lower() in header_list(response, "Access-Control-Allow-Methods")
    allowed = header_list(response, "Access-Control-Allow-Headers")
    assert {"authorization", "content-type", "accept", "x-skip-auth-refresh"} <= allowed
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/api/threads", 401), ("/api/no", 404)])
def test_answers_and_errors_can_be_read_from_any_origin_without_credentials(
    guest: Client, path: str, status: int
) -> None:
    headers = {"Origin": "https://elsewhere.example", "Cookie": "session=1", "X-Skip-Auth-Refresh": "1"}
    response = guest.get(path, headers=headers)

    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "content-disposition" in header_list(response, "Access-Control-Expose-Headers")


def test_only_configured_origins_are_allowed(tmp_path: Path) -> None:
    settings = {"CHAT_CORS_ORIGINS": "https://one.example, https://two.example"}
    preflight = {**PREFLIGHT, "Access-Control-Request-Method": "PATCH"}
    with ServerProcess(tmp_path, "http://127.0.0.1:9", settings) as server, server.client() as client:
        seen = {
            origin: client.options("/api/threads", headers={**preflight, "Origin": origin}).headers
            for origin in ("https://one.example", "https://two.example", "https://three.example")
        }

    assert seen["https://one.example"]["Access-Control-Allow-Origin"] == "https://one.example"
    assert seen["https://two.example"]["Access-Control-Allow-Origin"] == "https://two.example"
    assert "Access-Control-Allow-Origin" not in seen["https://three.example"]


def test_unknown_fields_of_a_body_are_ignored(admin: Client, model: str) -> None:
    extra: dict[str, Any] = {
        "id": NOBODYS,
        "owner_id": NOBODYS,
        "created_at": 0,
        "model_config": 1,
        "surprise": {"a": [1]},
    }
    account = {"username": unique("extra"), "password": "long enough"}

    made = admin.post("/api/auth/register", json={**account, **extra, "token_version": 7})
    assert (made.status_code, made.json()["token_version"]) == (201, 0)
    login = admin.post("/api/auth/login", json={**account, **extra})
    refreshed = admin.post("/api/auth/refresh", json={**login.json(), **extra})
    assert (login.status_code, refreshed.status_code) == (200, 200)
    thread = admin.new_thread(title="t", **extra)
    assert NOBODYS not in (thread["id"], thread["owner_id"])
    path = f"/api/threads/{thread['id']}"
    sent = admin.send_message(thread["id"], model=model, **extra)
    assert sent.status_code == 201
    assert admin.patch(path, json={"title": "u", **extra}).json()["title"] == "u"
    patched = admin.patch(f"{path}/messages/{sent.json()['id']}", json={"text": "v", **extra})
    assert patched.json()["text"] == "v"
    kept = admin.put(f"/api/provider-threads/{thread['id']}", json={"conversation_id": "c", **extra})
    assert (kept.status_code, kept.json()["conversation_id"]) == (200, "c")
    assert NOBODYS not in made.text + patched.text + kept.text


@pytest.mark.parametrize("path", ["/api/threads", "/api/threads/{thread_id}/messages"])
def test_a_page_list_has_items_and_pagination(user: Client, path: str) -> None:
    url = path.format(thread_id=user.new_thread()["id"])

    assert user.get(url).json() == {
        "items": [],
        "pagination": {"total": 0, "page": 1, "limit": 20, "has_more": False},
    }
    assert user.get(url, params={"limit": 101}).json()["pagination"]["limit"] == 100
    for page in (2, 10**9, 10**18, 10**30):
        beyond = user.get(url, params={"page": page, "limit": 1})
        assert (beyond.status_code, beyond.json()["items"]) == (200, [])
        assert beyond.json()["pagination"] == {"total": 0, "page": page, "limit": 1, "has_more": False}


@pytest.mark.parametrize("path", ["/api/threads", "/api/threads/{thread_id}/messages"])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "page=0", "page=-1", "page=1.5", "page="]
)
def test_a_page_that_cannot_be_is_422(user: Client, path: str, query: str) -> None:
    response = user.get(path.format(thread_id=user.new_thread()["id"]) + "?" + query)

    assert response.status_code == 422
    assert [problem["loc"] for problem in response.json()["detail"]] == [["query", query.partition("=")[0]]]


def test_identifiers_are_uuids_and_times_are_utc_with_an_offset(user: Client, model: str) -> None:
    thread_id = user.new_thread()["id"]
    user.send_message(thread_id, model=model)
    seen = [
        user.get("/api/auth/me").json(),
        user.get(f"/api/threads/{thread_id}").json(),
        *user.messages(thread_id),
        user.put(f"/api/provider-threads/{thread_id}", json={}).json(),
    ]

    for item in seen:
        assert str(UUID(item["id"])) == item["id"]
        for name in ("created_at", "updated_at"):
            assert datetime.fromisoformat(item[name]).utcoffset() == timedelta(0)


def test_a_body_without_a_content_type_is_read_as_json(user: Client) -> None:
    response = user.post("/api/threads", content=json.dumps({"title": "Untyped"}).encode())

    assert (response.status_code, response.json()["title"]) == (201, "Untyped")


def test_a_strangers_body_is_not_even_parsed(server: ServerProcess) -> None:
    with server.client() as client:
        response = client.post(
            "/api/threads", content="{broken", headers={"Content-Type": "application/json"}
        )
    assert response.status_code == 401
