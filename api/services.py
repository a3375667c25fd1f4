"""The parts of one process, started in order and stopped in reverse."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from filelock import FileLock, Timeout

from core.auth.passwords import Passwords
from core.auth.tokens import Tokens
from core.context import Services
from core.db.migrate import migrate
from core.db.session import Database
from core.errors import SettingsError
from core.files.store import FileStore
from core.logs import get_logger
from core.provider.client import ProviderClient
from core.runs.engine import RunEngine
from core.runs.memory_log import MemoryLog
from core.settings import DEFAULT_SECRET, Settings

_logger = get_logger(__name__)


@asynccontextmanager
async def running_services(settings: Settings) -> AsyncIterator[Services]:
    """Migrate, open everything, go on with what waits; at the end drain and close.

    Raises `SettingsError` if another server works on this SQLite file.
    """
    if settings.jwt_secret_key == DEFAULT_SECRET:
        _logger.warning("CHAT_JWT_SECRET_KEY is the default: anybody who reaches this server can sign in")
    db = Database(settings.database_url)
    try:
        with _alone(db):
            migrate(settings.database_url)
            files = FileStore(settings.attachments_storage_dir)
            provider = ProviderClient(settings)
            log = MemoryLog(
                run_bytes=settings.run_log_bytes, retention_seconds=settings.run_retention_seconds
            )
            runs = RunEngine(settings, db, files, provider, log)
            passwords = Passwords()
            await runs.start(alone=db.file is not None)
            try:
                yield Services(settings, db, files, provider, runs, passwords, Tokens(settings))
            finally:
                await runs.drain(settings.shutdown_grace_seconds)
                await provider.close()
                passwords.close()
    finally:
        db.close()


@contextmanager
def _alone(db: Database) -> Iterator[None]:
    """Hold the SQLite file: with a log in memory, a second server would not see this one's streams."""
    if db.file is None:
        yield
        return
    lock = FileLock(f"{db.file}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise SettingsError(
            f"CHAT_DATABASE_URL: another gwp-chat server is working on {db.file}; stop it first, "
            "or give this one a database of its own"
        ) from None
    try:
        yield
    finally:
        lock.release()
