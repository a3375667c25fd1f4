"""One server per database, or many that share an event log: never one of each kind."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import text

from core.db.engines import database_url, sqlite_file, writer_engine
from core.errors import SettingsError

# Another number than that of migrations: a server must not keep `gwp-chat migrate` waiting.
_LOCK = 0x67777064


@contextmanager
def serving(url: str, *, is_one_of_many: bool) -> Iterator[None]:
    """Hold the database: others would not see this one's streams, unless all are some of many.

    Raises `SettingsError` if one is at work that must not be.
    """
    file = sqlite_file(database_url(url))
    if file is None:
        with _advisory_lock(url, is_shared=is_one_of_many):
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
def _advisory_lock(url: str, *, is_shared: bool) -> Iterator[None]:
    """Held by a connection of its own; if this process dies, the engine lets it go."""
    engine = writer_engine(database_url(url)).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            function = "pg_try_advisory_lock_shared" if is_shared else "pg_try_advisory_lock"
            if not connection.scalar(text(f"SELECT {function}(:lock)"), {"lock": _LOCK}):
                raise _taken("this database")
            yield
    finally:
        engine.dispose()


def _taken(what: str) -> SettingsError:
    return SettingsError(
        f"CHAT_DATABASE_URL: another gwp-chat server is working on {what}; stop it first, "
        "give this one a database of its own, or set CHAT_REDIS_URL for both"
    )
