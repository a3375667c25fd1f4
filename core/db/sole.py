"""One server per database, as long as the log of runs is in the memory of one process."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import text

from core.db.engines import database_url, sqlite_file, writer_engine
from core.errors import SettingsError

# Another number than that of migrations: a server must not keep `gwp-chat migrate` waiting.
_LOCK = 0x67777064


@contextmanager
def sole_server(url: str) -> Iterator[None]:
    """Hold the database: a second server would not see this one's streams. Raises `SettingsError`."""
    file = sqlite_file(database_url(url))
    if file is None:
        with _advisory_lock(url):
            yield
        return
    lock = FileLock(f"{file.resolve()}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise _taken(str(file)) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _advisory_lock(url: str) -> Iterator[None]:
    """Held by a connection of its own; if this process dies, the engine lets it go."""
    engine = writer_engine(database_url(url)).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
                raise _taken("this database")
            yield
    finally:
        engine.dispose()


def _taken(what: str) -> SettingsError:
    return SettingsError(
        f"CHAT_DATABASE_URL: another gwp-chat server is working on {what}; stop it first, "
        "or give this one a database of its own"
    )
