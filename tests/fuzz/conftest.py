from collections.abc import Iterator

import pytest

from tests.clients import Client
from tests.fuzz.people import Person, enrol, settle, token_of
from tests.provider.client import ProviderProcess
from tests.servers import ServerProcess


@pytest.fixture(scope="package")
def fuzzed(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own, whose log tells of nothing but what is done here."""
    with ServerProcess(tmp_path_factory.mktemp("fuzzed"), f"{provider.base_url}/v1") as process:
        yield process


@pytest.fixture(scope="package")
def operator(fuzzed: ServerProcess) -> Iterator[Client]:
    with fuzzed.admin() as client:
        yield client


@pytest.fixture
def alice(fuzzed: ServerProcess, operator: Client) -> Person:
    """She sends what is generated."""
    return settle(fuzzed, operator)


@pytest.fixture(scope="package")
def bob(fuzzed: ServerProcess, operator: Client) -> Person:
    """His data must be neither seen nor changed by anybody else."""
    return settle(fuzzed, operator)


@pytest.fixture(scope="package")
def carol(fuzzed: ServerProcess, operator: Client) -> Person:
    """She only reads."""
    return settle(fuzzed, operator)


@pytest.fixture
def leaver(fuzzed: ServerProcess, operator: Client) -> str:
    """A token for logging out, which ends it."""
    with enrol(fuzzed, operator) as client:
        return token_of(client)
