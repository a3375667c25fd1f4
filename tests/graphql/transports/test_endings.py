"""A subscription dies with the token that it was opened with, and says so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from tests.clients import Client
from tests.graphql.clients import data
from tests.graphql.transports.wire import THREADS, codes, event_stream, multipart, shared_stream, socket
from tests.servers import SECRET

pytestmark = pytest.mark.usefixtures("no_faults")

UPDATE = "mutation ($i: UpdateUserInput!) { updateUser(input: $i) { __typename } }"
DEACTIVATE = "mutation ($id: UUID!) { deactivateUser(input: {userId: $id}) { __typename } }"

# Gives the subscription's first event, and then what it says last.
Opener = Callable[[Client], Any]


@contextmanager
def on_an_event_stream(user: Client) -> Iterator[Callable[[], str]]:
    with event_stream(user, THREADS) as stream:
        assert stream.next().event == "next"

        def last_words() -> str:
            last, end = stream
            assert (end.event, codes(last.data)) == ("complete", ["UNAUTHENTICATED"])
            message: str = last.data["errors"][0]["message"]
            return message

        yield last_words


@contextmanager
def on_a_multipart_stream(user: Client) -> Iterator[Callable[[], str]]:
    with multipart(user, THREADS) as parts:
        parts.next()

        def last_words() -> str:
            (last,) = [part for part in parts if part]
            assert (last["payload"], codes(last)) == (None, ["UNAUTHENTICATED"])
            message: str = last["errors"][0]["message"]
            return message

        yield last_words


@contextmanager
def on_a_shared_stream(user: Client) -> Iterator[Callable[[], str]]:
    with shared_stream(user) as stream:
        for operation_id in "ab":
            stream.start(THREADS, operation_id)
            assert stream.next().event == "next"

        def last_words() -> str:
            last, end, *others = stream.stream
            assert (codes(last.data["payload"]), end.data) == (["UNAUTHENTICATED"], {"id": last.data["id"]})
            assert {frame.data["id"] for frame in (last, *others)} == {"a", "b"}
            message: str = last.data["payload"]["errors"][0]["message"]
            return message

        yield last_words


@contextmanager
def on_a_socket(user: Client) -> Iterator[Callable[[], str]]:
    with socket(user) as connection:
        connection.subscribe(THREADS)
        assert connection.receive()["type"] == "next"

        def last_words() -> str:
            code, reason = connection.closed()
            assert code == 4403
            return reason

        yield last_words


@contextmanager
def on_an_idle_socket(user: Client) -> Iterator[Callable[[], str]]:
    with socket(user) as connection:
        yield lambda: connection.closed()[1]


OPENERS = [on_an_event_stream, on_a_multipart_stream, on_a_shared_stream, on_a_socket, on_an_idle_socket]


def id_of(user: Client) -> str:
    user_id: str = data(user, "{ viewer { user { id } } }")["viewer"]["user"]["id"]
    return user_id


def deactivate(user: Client, admin: Client) -> None:
    assert data(admin, DEACTIVATE, id=id_of(user)) == {
        "deactivateUser": {"__typename": "DeactivateUserSuccess"}
    }


def update(user: Client, admin: Client, **changes: object) -> None:
    made = data(admin, UPDATE, i={"userId": id_of(user), **changes})["updateUser"]
    assert made == {"__typename": "UpdateUserSuccess"}


def log_out(user: Client, _: Client) -> None:
    assert user.post("/api/auth/logout").status_code == 204


def log_out_by_graphql(user: Client, _: Client) -> None:
    assert data(user, "mutation { logout { __typename } }") == {"logout": {"__typename": "LogoutSuccess"}}


def deactivate_by_update(user: Client, admin: Client) -> None:
    update(user, admin, isActive=False)


def change_the_password(user: Client, admin: Client) -> None:
    update(user, admin, password="another good password")


def narrow_the_agents(user: Client, admin: Client) -> None:
    update(user, admin, allowedAgents=["one"])


def narrow_the_products(user: Client, admin: Client) -> None:
    update(user, admin, allowedProducts=["one"])


def give_a_role(user: Client, admin: Client) -> None:
    update(user, admin, roles=["admin"])


REVOKED = "This token is no longer valid; sign in again"
CHANGED = "Your permissions have changed; refresh the token, or sign in again"


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (log_out, REVOKED),
        (log_out_by_graphql, REVOKED),
        (deactivate, REVOKED),
        (deactivate_by_update, REVOKED),
        (change_the_password, REVOKED),
        (narrow_the_agents, CHANGED),
        (narrow_the_products, CHANGED),
        (give_a_role, CHANGED),
    ],
)
def test_a_subscription_ends_when_its_token_counts_no_more(
    new_user: Callable[..., Client],
    admin: Client,
    opener: Opener,
    end: Callable[[Client, Client], None],
    reason: str,
) -> None:
    user = new_user()
    with opener(user) as last_words:
        end(user, admin)
        assert last_words() == reason


@pytest.mark.parametrize("opener", OPENERS)
def test_a_subscription_ends_when_its_token_expires(user: Client, opener: Opener) -> None:
    claims = jwt.decode(
        user.headers["authorization"].removeprefix("Bearer "), options={"verify_signature": False}
    )
    soon = datetime.now(UTC) + timedelta(seconds=2)
    with (
        Client(str(user.base_url), jwt.encode({**claims, "exp": soon}, SECRET)) as guest,
        opener(guest) as last_words,
    ):
        assert last_words() == "This token has expired; refresh it, or sign in again"


def test_other_changes_of_an_account_end_nothing(new_user: Callable[..., Client], admin: Client) -> None:
    user = new_user()
    with on_a_socket(user), event_stream(user, THREADS) as stream:
        stream.next()
        update(user, admin, fullName="Ada Lovelace", email=f"{id_of(user)}@example.com", isActive=True)
        user.new_thread(title="Rome")
        assert "ThreadUpdated" in str(stream.next().data)


def test_another_user_hears_nothing_of_it(
    new_user: Callable[..., Client], user: Client, admin: Client
) -> None:
    with event_stream(user, THREADS) as stream:
        stream.next()
        deactivate(new_user(), admin)
        user.new_thread(title="Rome")
        assert "ThreadUpdated" in str(stream.next().data)
