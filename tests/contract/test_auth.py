"""Accounts, logins and their ends, field by field."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.servers import PASSWORD, ServerProcess

NewUser = Callable[..., Client]
USER_FIELDS = {
    *("id", "username", "email", "full_name", "roles", "allowed_products", "allowed_agents"),
    *("is_active", "token_version", "created_at", "updated_at", "last_login_at"),
}
TOKEN_FIELDS = {"access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in"}
INVALID = {"detail": "Invalid credentials"}


@pytest.fixture(scope="module")
def ada(server: ServerProcess, admin: Client) -> Iterator[Client]:
    """A plain account that no test changes."""
    name = unique("ada")
    admin.post("/api/auth/register", json={"username": name, "password": PASSWORD}).raise_for_status()
    with server.client().sign_in(name, PASSWORD) as client:
        yield client


@pytest.fixture
def guest(server: ServerProcess) -> Iterator[Client]:
    """Nobody: a client without a token."""
    with server.client() as client:
        yield client


def register(client: Client, **body: Any) -> httpx.Response:
    return client.post("/api/auth/register", json={"password": PASSWORD, **body})


def login(client: Client, username: str, password: str) -> httpx.Response:
    return client.post("/api/auth/login", json={"username": username, "password": password})


def visible(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """All that a caller sees of an answer, but for what differs with every request."""
    changing = ("date", "x-request-id")
    headers = {name: value for name, value in response.headers.items() if name not in changing}
    return response.status_code, response.content, headers


def is_recent(text: str) -> bool:
    return timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(text) < timedelta(minutes=1)


def test_the_first_user_is_admin_whatever_it_asked_for_and_then_the_door_is_closed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "http://127.0.0.1:9") as server, server.client("stale.token") as client:
        first = register(client, username="one", roles=["reader"], is_active=False)
        second = register(client, username="two")

        assert first.status_code == 201
        assert sorted(first.json()["roles"]) == ["admin", "reader"]
        assert (second.status_code, second.headers["WWW-Authenticate"]) == (401, "Bearer")
        client.sign_in("one", PASSWORD)
        assert register(client, username="two").json()["roles"] == []


def test_racing_first_registrations_yield_one_user(tmp_path: Path) -> None:
    names = ["same", "same", "other-1", "other-2"]
    with (
        ServerProcess(tmp_path, "http://127.0.0.1:9") as server,
        server.client() as client,
        ThreadPoolExecutor(len(names)) as threads,
    ):
        answers = list(threads.map(lambda name: register(client, username=name), names))
        statuses = sorted(answer.status_code for answer in answers)
        winner = next(answer.json() for answer in answers if answer.status_code == 201)
        able = [name for name in set(names) if login(client, name, PASSWORD).status_code == 200]

    assert statuses == [201, 401, 401, 401]
    assert winner["roles"] == ["admin"]
    assert able == [winner["username"]]


def test_a_user_has_every_field_it_was_registered_with(admin: Client) -> None:
    body = {
        "username": unique("full"),
        "email": f"{unique('full')}@example.org",
        "full_name": "Ада Лавлейс",
        "roles": ["editor", "reader"],
        "allowed_products": ["p-1", "p-2"],
        "allowed_agents": ["a-1"],
        "is_active": False,
    }
    response = register(admin, **body)
    user = response.json()

    assert response.status_code == 201
    assert set(user) == USER_FIELDS
    assert {name: user[name] for name in body} == body
    assert (user["token_version"], user["last_login_at"]) == (0, None)
    assert str(UUID(user["id"])) == user["id"]
    assert is_recent(user["created_at"])
    assert is_recent(user["updated_at"])
    assert PASSWORD not in response.text


@pytest.mark.parametrize("value", ["absent", None])
def test_optional_fields_of_a_user_have_defaults(admin: Client, value: str | None) -> None:
    optional = ("email", "full_name", "roles", "allowed_products", "allowed_agents", "is_active")
    user = register(admin, username=unique("bare"), **({} if value else dict.fromkeys(optional))).json()

    assert {name: user[name] for name in optional} == {
        "email": None,
        "full_name": None,
        "roles": [],
        "allowed_products": [],
        "allowed_agents": [],
        "is_active": True,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"username": ""},
        {"username": " \t\n"},
        {"username": "x" * 129},
        {"username": None},
        {},
        {"username": "x", "password": ""},
        {"username": "x", "password": None},
    ],
)
def test_a_user_without_a_proper_name_or_password_is_422(admin: Client, body: dict[str, Any]) -> None:
    response = register(admin, **body)

    assert response.status_code == 422
    assert isinstance(response.json()["detail"], list)


def test_a_name_of_128_characters_is_fine(admin: Client, guest: Client) -> None:
    name = unique("ж").ljust(128, "ж")

    assert register(admin, username=name).json()["username"] == name
    assert login(guest, name, PASSWORD).status_code == 200


def test_a_taken_name_or_email_is_409_and_stores_nothing(admin: Client, guest: Client) -> None:
    name, other, email = unique("taken"), unique("other"), f"{unique('taken')}@example.org"
    register(admin, username=name, email=email)

    by_name = register(admin, username=name, password="another password")
    by_email = register(admin, username=other, email=email)

    assert (by_name.status_code, by_email.status_code) == (409, 409)
    assert isinstance(by_name.json()["detail"], str)
    assert login(guest, name, "another password").status_code == 401
    assert login(guest, other, PASSWORD).status_code == 401
    assert register(admin, username=other).status_code == 201


def test_only_admins_register_others(ada: Client, guest: Client) -> None:
    name = unique("refused")

    assert register(guest, username=name).status_code == 401
    assert register(guest.use("a.b.c"), username=name).status_code == 401
    assert register(ada, username=name, roles=["admin"]).status_code == 403
    assert login(guest, name, PASSWORD).status_code == 401


def test_a_registered_admin_registers_others(new_user: NewUser) -> None:
    assert register(new_user(roles=["admin"]), username=unique("made")).status_code == 201


@pytest.mark.parametrize(
    "password", ["x" * 150, "ж" * 100, "🔑" * 4000], ids=["150 letters", "100 of two bytes", "4000 of four"]
)
def test_a_long_password_is_never_cut(admin: Client, guest: Client, password: str) -> None:
    name = unique("long")
    register(admin, username=name, password=password).raise_for_status()

    assert login(guest, name, password).status_code == 200
    assert login(guest, name, password[:-1]).status_code == 401
    assert login(guest, name, password + "x").status_code == 401
    assert login(guest, name, password[:-1] + "y").status_code == 401


def test_a_login_answers_tokens_and_sets_the_time(admin: Client, guest: Client) -> None:
    name = unique("login")
    registered = register(admin, username=name).json()

    response = login(guest, name, PASSWORD)
    tokens = response.json()
    me = guest.use(tokens["access_token"]).get("/api/auth/me").json()

    assert response.status_code == 200
    assert set(tokens) == TOKEN_FIELDS
    assert tokens["token_type"] == "bearer"
    assert (tokens["expires_in"], tokens["refresh_expires_in"]) == (15 * 60, 10080 * 60)
    assert is_recent(me["last_login_at"])
    changing = {"last_login_at", "updated_at"}
    assert {name: me[name] for name in USER_FIELDS - changing} == {
        name: registered[name] for name in USER_FIELDS - changing
    }


def test_all_failures_to_log_in_look_the_same(admin: Client, guest: Client) -> None:
    active, inactive = unique("active"), unique("inactive")
    register(admin, username=active)
    register(admin, username=inactive, is_active=False)

    seen = [
        visible(login(guest, name, password))
        for name, password in (
            (unique("nobody"), PASSWORD),
            (active, "wrong"),
            (active, ""),
            ("", PASSWORD),
            (active, PASSWORD.upper()),
            (inactive, PASSWORD),
            (inactive, "wrong"),
        )
    ]

    assert all(answer == seen[0] for answer in seen), seen
    status, body, headers = seen[0]
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert body == b'{"detail":"Invalid credentials"}'


def test_all_failures_to_log_in_take_the_same_time(admin: Client, guest: Client) -> None:
    inactive = unique("inactive")
    register(admin, username=inactive, is_active=False)

    def shortest(name: str, password: str) -> float:
        spent = []
        for _ in range(5):
            started = time.perf_counter()
            assert login(guest, name, password).status_code == 401
            spent.append(time.perf_counter() - started)
        return min(spent)

    times = [shortest("admin", "wrong"), shortest(unique("nobody"), "wrong"), shortest(inactive, PASSWORD)]

    # Whoever skips the hash is some twenty times faster; a machine under load is not.
    assert min(times) > max(times) / 4, times


def test_a_failed_login_changes_nothing(admin: Client, guest: Client) -> None:
    name = unique("careful")
    register(admin, username=name)
    guest.sign_in(name, PASSWORD)
    before = guest.get("/api/auth/me").json()

    login(guest, name, "wrong")

    assert guest.get("/api/auth/me").json() == before
