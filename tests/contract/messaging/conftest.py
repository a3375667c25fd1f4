"""What the tests of messages share: their threads are their own, so an account can serve a module."""

from collections.abc import Iterator

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.servers import PASSWORD, ServerProcess


@pytest.fixture(scope="module")
def user(server: ServerProcess, admin: Client) -> Iterator[Client]:
    """One account for the whole module."""
    username = unique("user")
    admin.post("/api/auth/register", json={"username": username, "password": PASSWORD})
    with server.client().sign_in(username, PASSWORD) as client:
        yield client


@pytest.fixture
def thread_id(user: Client) -> str:
    return str(user.new_thread()["id"])
