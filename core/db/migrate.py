"""Brings a database to the schema of this code: forward only, one starter at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from core.db.engines import database_url, writer_engine
from core.errors import SettingsError

# Any number that no other user of the database takes; PostgreSQL keeps advisory locks by number.
_LOCK = 0x67777063


def migrate(url: str) -> str:
    """Apply what is missing, in one transaction, and return the revision reached.

    A second process waits for the first and then finds nothing to do. Raises `SettingsError` if the
    database cannot be reached or written.
    """
    try:
        with _locked(url) as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return current_revision(connection) or ""
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise SettingsError(f"CHAT_DATABASE_URL: the database cannot be used: {reason}") from error


def head_revision() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(connection: Connection) -> str | None:
    """The revision of the database behind `connection`; None while it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    engine = writer_engine(database_url(url))
    try:
        # On SQLite the transaction itself begins with the write lock.
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("core.db") / "migrations"))
    return config
