"""Engines: from `CHAT_DATABASE_URL` to connections that are set up right."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from core.errors import SettingsError
from core.settings import check_database_url

# What PostgreSQL itself sees to, for each connection: it notices within half a minute that this machine is
# gone, and not after two hours; a process that stops in mid-transaction keeps its locks for so long at most.
IDLE_IN_TRANSACTION_SECONDS = 10
# If it stops while it sends many rows at once, PostgreSQL does not take it for idle, but for at work.
WRITING_SECONDS = 30
_SINCE_TRANSACTION_TIMEOUT = 170_000
_KEEPALIVE = {
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
}

# Of PostgreSQL: `read_only_sql_transaction`.
_READ_ONLY = "25006"

BUSY_TIMEOUT_SECONDS = 15
BUSY_POLL_SECONDS = 0.02


def database_url(text: str) -> URL:
    """The URL with the driver that we use; takes the plain forms. Raises `SettingsError`."""
    try:
        check_database_url(text)
    except ValueError as error:
        raise SettingsError(f"CHAT_DATABASE_URL: {error}") from None
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingsError("CHAT_DATABASE_URL: this is not a database URL") from None
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url.set(drivername="sqlite+pysqlite")


def sqlite_file(url: URL) -> Path | None:
    """The database file, or None for other engines."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def writer_engine(url: URL, *, pool_size: int = 1, is_patient: bool = False) -> Engine:
    """An engine whose transactions may write; on SQLite each takes the write lock at its start.

    A patient one lets its transactions wait for ever between their statements.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, pool_size=1, begin="BEGIN IMMEDIATE")
    limits = (0, 0) if is_patient else (IDLE_IN_TRANSACTION_SECONDS, WRITING_SECONDS)
    return _postgresql_engine(url, pool_size, *limits)


def reader_engine(url: URL, *, pool_size: int, is_patient: bool = False) -> Engine:
    """An engine for reads; on SQLite it refuses writes."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, pool_size=pool_size, begin="BEGIN", query_only=True)
    return _postgresql_engine(url, pool_size, 0 if is_patient else IDLE_IN_TRANSACTION_SECONDS, 0)


def still_writes(connection: Connection) -> bool:
    """Whether the server that this connection leads to takes writes. Raises `DBAPIError` if there is none."""
    return bool(connection.scalar(text("SHOW transaction_read_only")) == "off")


def _postgresql_engine(url: URL, pool_size: int, idle_seconds: float, whole_seconds: float) -> Engine:
    """Transactions may do nothing, and last, for so many seconds; 0 is for ever."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,  # they are users' texts, and errors are logged
        # A server that is gone without a word must not keep a thread for ever.
        connect_args={"connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 10},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _entry: ConnectionPoolEntry) -> None:
        limits = {"idle_in_transaction_session_timeout": f"{idle_seconds}s"}
        if connection.info.server_version >= _SINCE_TRANSACTION_TIMEOUT:
            limits["transaction_timeout"] = f"{whole_seconds}s"
        cursor = connection.cursor()
        for setting in (_KEEPALIVE | limits).items():
            cursor.execute("SELECT set_config(%s, %s, false)", setting)
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def _leave(context: ExceptionContext) -> None:
        # After a failover the address may lead elsewhere, while this connection stays with the old server.
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
            context.is_disconnect = True

    return engine


def _sqlite_engine(url: URL, *, pool_size: int, begin: str, query_only: bool = False) -> Engine:
    file = sqlite_file(url)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"CHAT_DATABASE_URL: {error.strerror}: {error.filename}") from None
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # they are users' texts, and errors are logged
        # The driver's own implicit BEGIN would come too late for BEGIN IMMEDIATE and savepoints.
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "isolation_level": None, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        _enter_wal(cursor)
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        if query_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _enter_wal(cursor: Any) -> None:
    """Make the file a WAL one, which it then stays. SQLite's own busy timeout does not cover this."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_POLL_SECONDS)
        else:
            return
