"""One account for all tests of a module: what they do to it does not get into each other's way."""

from collections.abc import Iterator

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.transports.lab import LabServer
from tests.servers import PASSWORD, ServerProcess

UVICORNS_ON_BAD_UTF_8 = "Invalid UTF-8 sequence received from client."


@pytest.fixture(scope="module")
def account(admin: Client) -> str:
    """The name of the module's account."""
    name = unique("account")
    response = admin.post("/api/auth/register", json={"username": name, "password": PASSWORD})
    assert response.status_code == 201, response.text
    return name


@pytest.fixture(scope="module")
def user(server: ServerProcess, account: str) -> Iterator[Client]:
    with server.client().sign_in(account, PASSWORD) as client:
        yield client


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A lab with default settings."""
    with LabServer(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def no_faults(server: ServerProcess) -> Iterator[None]:
    """Fails if the module's tests make the server log an error: no client can make a fault of ours."""
    before = len(server.log_lines())
    yield
    since = server.log_lines()[before:]
    errors = [line for line in since if line["level"] in ("error", "critical")]
    assert [line for line in errors if line["event"] != UVICORNS_ON_BAD_UTF_8] == []
