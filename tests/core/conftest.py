"""The parts of core on one migrated file, and two callers who know nothing of each other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.context import Context, Services
from core.db.migrate import migrate
from tests.core.parts import new_caller, open_services


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that tests share; each has callers of its own."""
    found = f"sqlite:///{tmp_path_factory.mktemp('core') / 'app.db'}"
    migrate(found)
    return found


@pytest.fixture
async def services(url: str, tmp_path: Path) -> AsyncIterator[Services]:
    async with open_services(url, tmp_path) as parts:
        yield parts


@pytest.fixture
async def ctx(services: Services) -> Context:
    return await new_caller(services)


@pytest.fixture
async def stranger(services: Services) -> Context:
    return await new_caller(services)


@pytest.fixture
async def admin_ctx(services: Services) -> Context:
    return await new_caller(services, roles=["admin"])
