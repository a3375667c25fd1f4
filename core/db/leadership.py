"""Which of many processes does a work that only one at a time may do."""

import threading
from contextlib import ExitStack, suppress

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from core.db.engines import database_url, sqlite_file, still_writes, writer_engine
from core.db.session import DatabaseUnavailable


class Leadership:
    """Held by one process of all that ask for it; once its connection is gone, by the next that asks.

    PostgreSQL keeps it, as an advisory lock of this number. A SQLite file has one process anyway.
    """

    def __init__(self, url: str, number: int) -> None:
        parsed = database_url(url)
        self._engine = None if sqlite_file(parsed) else writer_engine(parsed)
        self._number = number
        self._connection: Connection | None = None
        self._asking = threading.Lock()
        # How often this process has begun to lead: between two terms, others may have led.
        self.term = 0

    @property
    def is_known_to_be_held(self) -> bool:
        """Whether this process led when it last asked; unlike `is_held`, this takes nothing."""
        return self._engine is None or self._connection is not None

    def is_held(self) -> bool:
        """Whether this process leads now; it does from the first call on that finds nobody else. Blocking.

        Raises `DatabaseUnavailable`.
        """
        if self._engine is None:
            return True
        with self._asking:
            try:
                if self._connection is not None and not still_writes(self._connection):
                    self._let_go()
                if self._connection is None:
                    self._connection = _taken(self._engine, self._number)
                    self.term += self._connection is not None
            except DBAPIError as error:
                self._let_go()
                raise DatabaseUnavailable from error
            return self._connection is not None

    def release(self) -> None:
        """Let others lead; the next call of `is_held` asks again. Blocking."""
        with self._asking:
            if self._connection is not None:
                with suppress(DBAPIError):  # then it has lost it already
                    # The end of the connection alone would be noticed a moment later.
                    self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            self._let_go()

    def close(self) -> None:
        """Let others lead, and keep no connection. Blocking."""
        self.release()
        if self._engine is not None:
            self._engine.dispose()

    def _let_go(self) -> None:
        """Close the connection itself: given back to the pool it would keep the lock."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _taken(engine: Engine, number: int) -> Connection | None:
    """The connection that has the lock from now on; None if another has it."""
    with ExitStack() as stack:
        connection = stack.enter_context(engine.connect()).execution_options(isolation_level="AUTOCOMMIT")
        if connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": number}):
            stack.pop_all()
            return connection
    return None
