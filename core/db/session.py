"""The two doors to the database: `read(work)` and `write(work)`.

`work` is a plain function of a session. It runs in a thread, one call is one transaction, and no
session ever crosses an `await`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.db.announcements import announced
from core.db.changes import number_changes
from core.db.engines import database_url, reader_engine, sqlite_file, still_writes, writer_engine
from core.db.group_commit import GroupCommitWriter
from core.errors import NotStorable, Unavailable
from core.signals import Signals

Result = TypeVar("Result")
Work = Callable[[Session], Result]

READERS = 4
ATTEMPTS = 3


class Writer(Protocol):
    """Runs jobs, each in a transaction of its own or in a savepoint of a shared one."""

    async def run(self, work: Work[Result], committed: Callable[[], None]) -> Result:
        """The result of `work` once it is durable.

        `committed` is called in the caller's loop before that, also if the caller does not wait any more.
        """
        ...

    def close(self) -> None:
        """Finish what was accepted, then release the connections."""
        ...


class DatabaseUnavailable(Unavailable):
    """The database did not take or give the data; nothing of this call is stored."""

    code = "DATABASE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The database is not available; try again")


class Database:
    """Connections of one process. What transactions announce is published on `signals`."""

    def __init__(self, url: str, signals: Signals | None = None) -> None:
        self._signals = signals or Signals()
        parsed = database_url(url)
        self.file = sqlite_file(parsed)
        self._reader_engine = reader_engine(parsed, pool_size=READERS)
        self._reader_sessions = sessionmaker(self._reader_engine, expire_on_commit=False)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="db-read")
        self._writer: Writer = GroupCommitWriter(writer_engine(parsed)) if self.file else _PooledWriter(url)

    async def read(self, work: Work[Result]) -> Result:
        """Run `work` on a snapshot of the database. Raises `DatabaseUnavailable`."""
        return await _named(asyncio.get_running_loop().run_in_executor(self._readers, self._read, work))

    async def write(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction and return once it is committed. Raises `DatabaseUnavailable`.

        What `work` raises undoes its own changes and no others.
        """
        topics: frozenset[str] = frozenset()

        def whole(session: Session) -> Result:
            nonlocal topics
            result = work(session)
            number_changes(session)
            topics = announced(session)
            return result

        def publish() -> None:
            for topic in topics:
                self._signals.publish(topic)

        return await _named(self._writer.run(whole, publish))

    async def ping(self) -> None:
        """Raise `DatabaseUnavailable` unless a query is answered, by a database that takes writes."""
        if await self.read(_is_read_only):
            self._reader_engine.dispose()  # its connections lead to a server that is the one no more, perhaps
            raise DatabaseUnavailable

    def close(self) -> None:
        """Commit what was accepted and close every connection."""
        self._writer.close()
        self._readers.shutdown()
        self._reader_engine.dispose()

    def _read(self, work: Work[Result]) -> Result:
        with self._reader_sessions() as session:
            return work(session)


class _PooledWriter:
    """One transaction a job, several at once: for engines with row locks."""

    def __init__(self, url: str) -> None:
        self._engine = writer_engine(database_url(url), pool_size=READERS)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="db-write")

    async def run(self, work: Work[Result], committed: Callable[[], None]) -> Result:
        loop = asyncio.get_running_loop()

        def commit() -> Result:
            result = self._run(work)
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits any more
                loop.call_soon_threadsafe(committed)
            return result

        return await loop.run_in_executor(self._threads, commit)

    def close(self) -> None:
        self._threads.shutdown()
        self._engine.dispose()

    def _run(self, work: Work[Result]) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._sessions.begin() as session:
                    return work(session)
            except OperationalError as error:
                # Deadlocks and serialization failures undo everything: the job can simply run again.
                if attempt == ATTEMPTS or getattr(error.orig, "sqlstate", None) not in ("40001", "40P01"):
                    raise
        raise AssertionError("unreachable")


async def _named(awaitable: Awaitable[Result]) -> Result:
    try:
        return await awaitable
    except (DataError, UnicodeEncodeError) as error:
        # Half a surrogate pair everywhere, NUL on PostgreSQL: the one fault of data that callers can send.
        raise NotStorable from error
    except DBAPIError as error:
        if isinstance(error, OperationalError) or error.connection_invalidated:
            raise DatabaseUnavailable from error
        raise


def _is_read_only(session: Session) -> bool:
    """Whether this is a PostgreSQL that takes no writes, such as a standby."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        connection.scalar(text("SELECT 1"))
        return False
    return not still_writes(connection)
