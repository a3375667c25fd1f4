"""Several servers on one PostgreSQL and one Valkey, each a process of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import Client
from tests.postgresql import postgresql
from tests.provider.client import ProviderProcess
from tests.servers import PASSWORD, ServerProcess
from tests.valkey import valkey


@dataclass(frozen=True, slots=True)
class Engines:
    """What the servers share."""

    settings: dict[str, str]


def engines_in(directory: Path, database_url: str, redis_url: str) -> Engines:
    """The settings of servers that share these."""
    settings = {
        "CHAT_DATABASE_URL": database_url,
        "CHAT_REDIS_URL": redis_url,
        "CHAT_ATTACHMENTS_STORAGE_DIR": str(directory / "storage"),
        "CHAT_SEARCH_ENABLED": "false",
        "CHAT_LLM_TIMEOUT_SECONDS": "60",
    }
    return Engines(settings)


def new_server(engines: Engines, directory: Path, provider_url: str, **more: str) -> ServerProcess:
    """A server on these engines, not started yet."""
    directory.mkdir(exist_ok=True)
    return ServerProcess(directory, provider_url, {**engines.settings, **more})


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with postgresql() as database_url, valkey() as broker:
        yield engines_in(tmp_path_factory.mktemp("engines"), database_url, broker.url)


@pytest.fixture(scope="module")
def servers(
    engines: Engines, provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two servers; whoever stops one, or stops an engine, takes their own."""
    directory, provider_url = tmp_path_factory.mktemp("servers"), f"{provider.base_url}/v1"
    with (
        new_server(engines, directory / "one", provider_url) as one,
        new_server(engines, directory / "two", provider_url) as two,
    ):
        yield one, two


@pytest.fixture
def clients(servers: tuple[ServerProcess, ServerProcess]) -> Iterator[tuple[Client, Client]]:
    """The same account on both."""
    one, two = servers
    with one.admin() as first, two.client().sign_in("admin", PASSWORD) as second:
        yield first, second
