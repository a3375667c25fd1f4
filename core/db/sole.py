"""One server per database, or many that share an event log: never one of each kind."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from core.db.engines import database_url, sqlite_file, still_writes, writer_engine
from core.errors import SettingsError
from core.logs import get_logger

# Another number than that of migrations: a server must not keep `gwp-chat migrate` waiting.
_LOCK = 0x67777064
LOOK_SECONDS = 5.0

_logger = get_logger(__name__)


@contextmanager
def serving(url: str, *, is_one_of_many: bool, remedy: str = "") -> Iterator[None]:
    """Hold the database: others would not see this one's streams, unless all are some of many.

    Raises `SettingsError` if one is at work that must not be, which ends with the `remedy`.
    """
    file = sqlite_file(database_url(url))
    if file is None:
        with _advisory_lock(url, remedy, is_shared=is_one_of_many):
            yield
        return
    lock = FileLock(f"{file.resolve()}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise _taken(str(file), remedy) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _advisory_lock(url: str, remedy: str, *, is_shared: bool) -> Iterator[None]:
    """Held by a connection of its own; if this process dies, the engine lets it go."""
    lock = _AdvisoryLock(url, is_shared=is_shared)
    try:
        if not lock.take():
            raise _taken("this database", remedy)
        keeper = threading.Thread(target=lock.keep, name="database lock", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            lock.is_over.set()
            keeper.join(1)
    finally:
        lock.close()


class _AdvisoryLock:
    def __init__(self, url: str, *, is_shared: bool) -> None:
        self._engine = writer_engine(database_url(url)).execution_options(isolation_level="AUTOCOMMIT")
        self._function = "pg_try_advisory_lock_shared" if is_shared else "pg_try_advisory_lock"
        self._connection: Connection | None = None
        self.is_over = threading.Event()

    def take(self) -> bool:
        """Whether it is held from now on. Raises `DBAPIError`."""
        with ExitStack() as stack:
            connection = stack.enter_context(self._engine.connect())
            if not connection.scalar(text(f"SELECT {self._function}(:lock)"), {"lock": _LOCK}):
                return False
            if self.is_over.is_set():
                return False
            stack.pop_all()
            self._connection = connection
        return True

    def keep(self) -> None:
        """Look again and again whether it is held still: the engine may be restarted, or end connections."""
        is_lost = False
        while not self.is_over.wait(LOOK_SECONDS):
            try:
                if self._connection is None:
                    is_taken = not self.take()
                    if is_taken and not is_lost:
                        _logger.error("another server took this database meanwhile, and must not: stop one")
                    is_lost = is_taken
                elif not still_writes(self._connection):  # the lock is with a server that is none any more
                    self._let_go()
            except DBAPIError:
                self._let_go()

    def close(self) -> None:
        """Let go of it."""
        self._let_go()
        self._engine.dispose()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _taken(what: str, remedy: str) -> SettingsError:
    return SettingsError(
        f"CHAT_DATABASE_URL: another gwp-chat server is working on {what}; stop it first{remedy}"
    )
