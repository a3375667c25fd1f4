"""The parts of core on a database of the tests, without any server, and callers of one's own."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.auth.bearers import KnownBearers
from core.auth.passwords import Passwords
from core.auth.tokens import Tokens
from core.context import Context, Services
from core.db.mapping import to_user
from core.db.models import UserRow
from core.db.records import User
from core.db.session import Database
from core.files.directory import DirectoryStore
from core.places import Places
from core.provider.client import ProviderClient
from core.runs.engine import RunEngine
from core.runs.memory_log import MemoryLog
from core.search.index import SearchIndex
from core.settings import Settings
from core.signals import Signals
from tests.conftest import unique
from tests.servers import SECRET


@asynccontextmanager
async def open_services(url: str, directory: Path, **values: Any) -> AsyncIterator[Services]:
    """The parts on a migrated database. The engine is not started: what is sent waits."""
    settings = Settings(_env_file=None, database_url=url, jwt_secret_key=SECRET, **values)
    signals = Signals()
    db = Database(url, signals)
    files, provider, passwords = DirectoryStore(directory), ProviderClient(settings), Passwords(settings)
    runs = RunEngine(settings, db, files, provider, MemoryLog(run_bytes=2**20, retention_seconds=1))
    search = SearchIndex(settings, db, signals, is_indexing=True)  # not started either
    yield Services(
        settings,
        db,
        files,
        provider,
        runs,
        passwords,
        Tokens(settings),
        KnownBearers(signals),
        signals,
        search,
        Places(),
        threading.Event(),
    )
    await search.close()
    await provider.close()
    passwords.close()
    db.close()


async def new_caller(services: Services, **fields: Any) -> Context:
    """A context of a new account, which has no password."""
    values = {"username": unique("caller"), "password_hash": "none", **fields}

    def work(session: Session) -> User:
        row = UserRow(**values)
        session.add(row)
        session.flush()
        return to_user(row)

    return services.context(await services.db.write(work))
