"""Tokens: what they say, when they die, and what is none; and passwords of older systems."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import bcrypt
import jwt
import pytest
from sqlalchemy import Delete, Update, delete, select, update
from sqlalchemy.orm import Session

from core.db.engines import database_url, writer_engine
from core.db.models import UserRow
from tests.clients import Client
from tests.conftest import unique
from tests.servers import PASSWORD, SECRET, ServerProcess

Tokens = dict[str, Any]
CLAIMS = {
    *("sub", "username", "type", "iat", "nbf", "exp", "iss"),
    *("token_version", "roles", "products", "agents"),
}
ABSENT = object()


def past_the_server(server: ServerProcess, work: Callable[[Session], Any]) -> Any:
    """What `work` makes of the server's own database."""
    engine = writer_engine(database_url(server.database_url))
    try:
        with Session(engine) as session, session.begin():
            return work(session)
    finally:
        engine.dispose()


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_aud": False})
    return claims


def me(client: Client, token: str) -> int:
    return client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code


def refresh(client: Client, token: str) -> int:
    return client.post("/api/auth/refresh", json={"refresh_token": token}).status_code


@pytest.fixture
def guest(server: ServerProcess) -> Iterator[Client]:
    """Nobody: a client without a token."""
    with server.client() as client:
        yield client


@pytest.fixture
def account(admin: Client) -> dict[str, Any]:
    body = {
        "username": unique("bearer"),
        "password": PASSWORD,
        "roles": ["editor"],
        "allowed_products": ["p-1"],
        "allowed_agents": ["a-1", "a-2"],
    }
    user: dict[str, Any] = admin.post("/api/auth/register", json=body).json()
    return user


@pytest.fixture(scope="module")
def genuine(server: ServerProcess, admin: Client) -> Iterator[tuple[Client, Tokens]]:
    """A client and the tokens of an account that stays as it is."""
    name = unique("genuine")
    admin.post("/api/auth/register", json={"username": name, "password": PASSWORD})
    with server.client() as client:
        yield client, client.log_in(name, PASSWORD)


@pytest.mark.parametrize(("kind", "seconds"), [("access", 15 * 60), ("refresh", 10080 * 60)])
def test_a_token_says_who_its_bearer_is(
    guest: Client, account: dict[str, Any], kind: str, seconds: int
) -> None:
    tokens = guest.log_in(account["username"], PASSWORD)
    claims = claims_of(tokens[f"{kind}_token"])

    assert set(claims) == CLAIMS
    assert (claims["sub"], claims["username"]) == (account["id"], account["username"])
    assert (claims["type"], claims["iss"], claims["token_version"]) == (kind, "gwp-chat", 0)
    assert (claims["roles"], claims["products"], claims["agents"]) == (["editor"], ["p-1"], ["a-1", "a-2"])
    assert claims["iat"] == claims["nbf"]
    assert claims["exp"] - claims["iat"] == seconds
    assert abs(datetime.now(UTC).timestamp() - claims["iat"]) < 60


def test_a_refresh_token_gives_a_new_pair_that_works(guest: Client, account: dict[str, Any]) -> None:
    tokens = guest.log_in(account["username"], PASSWORD)

    response = guest.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    fresh = response.json()

    assert response.status_code == 200
    assert set(fresh) == set(tokens)
    assert (fresh["token_type"], fresh["expires_in"], fresh["refresh_expires_in"]) == ("bearer", 900, 604800)
    assert me(guest, fresh["access_token"]) == 200
    assert refresh(guest, fresh["refresh_token"]) == 200


def test_a_token_of_the_wrong_type_is_401(guest: Client, account: dict[str, Any]) -> None:
    tokens = guest.log_in(account["username"], PASSWORD)

    assert me(guest, tokens["refresh_token"]) == 401
    assert refresh(guest, tokens["access_token"]) == 401


def past(**ago: float) -> float:
    return (datetime.now(UTC) - timedelta(**ago)).timestamp()


FORGERIES: dict[str, dict[str, Any]] = {
    "expired": {"exp": past(seconds=30)},
    "expired long ago": {"exp": 1},
    "not yet valid": {"nbf": past(hours=-1)},
    "of another issuer": {"iss": "elsewhere"},
    "of several issuers": {"iss": ["gwp-chat"]},
    "of a type that is none": {"type": "id"},
    "without a type": {"type": ABSENT},
    "without an end": {"exp": ABSENT},
    "without an issuer": {"iss": ABSENT},
    "without a subject": {"sub": ABSENT},
    "without a version": {"token_version": ABSENT},
    "of an older version": {"token_version": -1},
    "of a later version": {"token_version": 1},
    "of a version that is none": {"token_version": "new"},
    "of nobody": {"sub": str(uuid4())},
    "of a subject that is no UUID": {"sub": "admin"},
    "of a subject that is no text": {"sub": 1},
    "of an endless life": {"exp": 10**30},
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_a_token_with_other_claims_is_401(genuine: tuple[Client, Tokens], changes: dict[str, Any]) -> None:
    client, tokens = genuine
    for kind, ask in (("access", me), ("refresh", refresh)):
        claims = {**claims_of(tokens[f"{kind}_token"]), **changes}
        claims = {name: value for name, value in claims.items() if value is not ABSENT}
        # Not jwt.encode: that refuses to write what it would refuse to read.
        forged = jwt.PyJWS().encode(json.dumps(claims).encode(), SECRET, algorithm="HS256")
        assert ask(client, forged) == 401


def test_a_token_is_worth_its_signature(genuine: tuple[Client, Tokens]) -> None:
    client, tokens = genuine
    for kind, ask in (("access", me), ("refresh", refresh)):
        token = tokens[f"{kind}_token"]
        claims = claims_of(token)
        header, payload, signature = token.split(".")
        assert ask(client, jwt.encode(claims, SECRET, algorithm="HS256")) == 200
        for worthless in (
            jwt.encode(claims, None, algorithm="none"),
            jwt.encode(claims, "another secret that is long enough", algorithm="HS256"),
            jwt.encode(claims, SECRET + SECRET, algorithm="HS512"),
            f"{header}.{payload}.",
            f"{header}.{payload}",
            f"{header}.{payload}.{signature[:-4]}AAAA",
            f"{header}.{payload}.{signature}.{signature}",
        ):
            assert ask(client, worthless) == 401, worthless


def test_a_logout_kills_every_token_of_the_user_at_once(
    server: ServerProcess, guest: Client, account: dict[str, Any], user: Client
) -> None:
    laptop, phone = (guest.log_in(account["username"], PASSWORD) for _ in range(2))
    refreshed = guest.post("/api/auth/refresh", json={"refresh_token": phone["refresh_token"]}).json()

    with server.client(laptop["access_token"]) as client:
        response = client.post("/api/auth/logout")
        again = client.post("/api/auth/logout")

    assert (response.status_code, response.content, again.status_code) == (204, b"", 401)
    for tokens in (laptop, phone, refreshed):
        assert me(guest, tokens["access_token"]) == 401
        assert refresh(guest, tokens["refresh_token"]) == 401
    assert user.get("/api/auth/me").status_code == 200
    guest.sign_in(account["username"], PASSWORD)
    assert guest.get("/api/auth/me").json()["token_version"] == 1


@pytest.mark.parametrize("change", [update(UserRow).values(is_active=False), delete(UserRow)], ids=str)
def test_tokens_of_a_user_who_is_inactive_or_deleted_are_401(
    server: ServerProcess, guest: Client, account: dict[str, Any], change: Update | Delete
) -> None:
    tokens = guest.log_in(account["username"], PASSWORD)

    # Past the server: a token that it has seen would count for some seconds more.
    past_the_server(
        server, lambda session: session.execute(change.where(UserRow.username == account["username"]))
    )

    assert me(guest, tokens["access_token"]) == 401
    assert refresh(guest, tokens["refresh_token"]) == 401
    login = guest.post("/api/auth/login", json={"username": account["username"], "password": PASSWORD})
    assert (login.status_code, login.json()) == (401, {"detail": "Invalid credentials"})


def test_the_settings_of_tokens_are_kept_to(tmp_path: Path) -> None:
    settings = {
        "CHAT_JWT_ISSUER": "our-house",
        "CHAT_JWT_AUDIENCE": "our-guests",
        "CHAT_ACCESS_TOKEN_EXPIRE_MINUTES": "3",
        "CHAT_REFRESH_TOKEN_EXPIRE_MINUTES": "7",
    }
    with ServerProcess(tmp_path, "http://127.0.0.1:9", settings) as server, server.admin() as client:
        tokens = client.log_in("admin", PASSWORD)
        claims = claims_of(tokens["access_token"])

        assert set(claims) == {*CLAIMS, "aud"}
        assert (claims["iss"], claims["aud"]) == ("our-house", "our-guests")
        assert (tokens["expires_in"], tokens["refresh_expires_in"]) == (180, 420)
        assert claims["exp"] - claims["iat"] == 180
        assert me(client, jwt.encode(claims, SECRET)) == 200
        without = {name: value for name, value in claims.items() if name != "aud"}
        for forged in ({**claims, "aud": "others"}, {**claims, "iss": "gwp-chat"}, without):
            assert me(client, jwt.encode(forged, SECRET)) == 401
            assert refresh(client, jwt.encode({**forged, "type": "refresh"}, SECRET)) == 401


OldUser = Callable[[str, bytes], str]


@pytest.fixture
def old_user(server: ServerProcess) -> OldUser:
    """Puts an account with a bcrypt hash straight into the database, as an older system left it."""

    def make(password: str, prefix: bytes = b"2b") -> str:
        username = unique("old")
        # bcrypt looks at 72 bytes, and the library refuses more.
        password_hash = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).replace(b"2b", prefix, 1)
        row = UserRow(username=username, password_hash=password_hash.decode(), token_version=3)
        row.created_at = row.updated_at = datetime(2024, 1, 1, tzinfo=UTC)
        past_the_server(server, lambda session: session.add(row))
        return username

    return make


def stored_hash(server: ServerProcess, username: str) -> str:
    wanted = select(UserRow.password_hash).where(UserRow.username == username)
    return str(past_the_server(server, lambda session: session.scalar(wanted)))


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
def test_an_old_bcrypt_hash_is_verified_and_upgraded_at_login(
    server: ServerProcess, guest: Client, old_user: OldUser, prefix: bytes
) -> None:
    username = old_user("пароль из старой системы", prefix)
    old = stored_hash(server, username)

    wrong = guest.post("/api/auth/login", json={"username": username, "password": "wrong"})
    assert (wrong.status_code, stored_hash(server, username)) == (401, old)
    guest.sign_in(username, "пароль из старой системы")

    assert stored_hash(server, username).startswith("$argon2id$")
    guest.sign_in(username, "пароль из старой системы")
    assert guest.get("/api/auth/me").json()["token_version"] == 3


def test_an_upgrade_keeps_the_whole_of_a_long_password(guest: Client, old_user: OldUser) -> None:
    password = "ж" * 40 + "the end that bcrypt never saw"
    username = old_user(password, b"2b")

    guest.sign_in(username, password)

    cut = {"username": username, "password": password[:36]}
    assert guest.post("/api/auth/login", json=cut).status_code == 401
    guest.sign_in(username, password)
