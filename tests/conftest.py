"""Fixtures of every test: one provider and one server per test process, and users of one's own."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.clients import Client
from tests.engines import engines
from tests.provider.client import ProviderProcess
from tests.servers import PASSWORD, ServerProcess

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def provider() -> Iterator[ProviderProcess]:
    """The scripted provider behind `server`; script it by a `model` of your own."""
    with ProviderProcess() as process:
        yield process


@contextmanager
def engines_of_this_run() -> Iterator[dict[str, str]]:
    """What sets a server up for the engines of this run: embedded, or with CHAT_TEST_ENGINES=1 servers."""
    if os.environ.get("CHAT_TEST_ENGINES"):
        with engines() as settings:
            yield settings
    else:
        yield {}


@pytest.fixture(scope="session")
def engine_settings() -> Iterator[dict[str, str]]:
    """The engines of `server`."""
    with engines_of_this_run() as settings:
        yield settings


@pytest.fixture(scope="session")
def server(
    provider: ProviderProcess, engine_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server with default settings; whoever stops or fills it takes one of their own."""
    directory = tmp_path_factory.mktemp("server")
    with ServerProcess(directory, f"{provider.base_url}/v1", engine_settings) as process:
        yield process


@pytest.fixture(scope="session")
def admin(server: ServerProcess) -> Iterator[Client]:
    with server.admin() as client:
        yield client


@pytest.fixture
def new_user(server: ServerProcess, admin: Client) -> Iterator[Callable[..., Client]]:
    """Makes an account and gives a client that is signed in as it."""
    clients: list[Client] = []

    def make(**fields: Any) -> Client:
        username = fields.pop("username", unique("user"))
        body = {"username": username, "password": PASSWORD, **fields}
        response = admin.post("/api/auth/register", json=body)
        if response.status_code == 401:  # the run is older than the administrator's token
            response = admin.sign_in("admin", PASSWORD).post("/api/auth/register", json=body)
        assert response.status_code == 201, response.text
        clients.append(server.client().sign_in(username, body["password"]))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def user(new_user: Callable[..., Client]) -> Client:
    return new_user()


@pytest.fixture
def model() -> str:
    """A model name that no other test scripts."""
    return unique("model")


def unique(word: str) -> str:
    """A name that nobody else has."""
    return f"{word}-{os.getpid()}-{next(_numbers)}"
