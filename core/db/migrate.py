"""Brings a database to the schema of this code: forward only, one starter at a time."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from core.db.engines import database_url, reader_engine, still_writes, writer_engine
from core.errors import SettingsError

# Any number that no other user of the database takes; PostgreSQL keeps advisory locks by number.
_LOCK = 0x67777063


def migrate(url: str) -> str:
    """Apply what is missing, in one transaction, and return the revision reached.

    A second process waits for the first and then finds nothing to do. Raises `SettingsError` if the
    database cannot be reached or written.
    """
    with _told(), _locked(url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return current_revision(connection) or ""


def found_revision(url: str) -> str | None:
    """The revision of a database, which is left as it is; None while it is empty. Raises `SettingsError`."""
    engine = reader_engine(database_url(url), pool_size=1)
    try:
        with _told(), engine.connect() as connection:
            return current_revision(connection)
    finally:
        engine.dispose()


def missing_sql(url: str) -> str:
    """The SQL that `migrate` would run on this database; empty if nothing is missing.

    Raises `SettingsError` if the database cannot be reached.
    """
    current = found_revision(url)
    if current == head_revision():
        return ""
    config, output = _config(), io.StringIO()
    config.attributes.update(dialect=database_url(url).get_backend_name(), output=output)
    with _told():
        command.upgrade(config, f"{current or 'base'}:head", sql=True)
    return output.getvalue()


def head_revision() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(connection: Connection) -> str | None:
    """The revision of the database behind `connection`; None while it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _told() -> Iterator[None]:
    """Say what is wrong with the database in one sentence."""
    try:
        yield
    except CommandError as error:  # a revision that this version does not know
        raise SettingsError(
            "CHAT_DATABASE_URL: a newer version of gwp-chat has changed this database: "
            "install that version, or go back to a copy of the database from before"
        ) from error
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise SettingsError(f"CHAT_DATABASE_URL: the database cannot be used: {reason}") from error


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    engine = writer_engine(database_url(url), is_patient=True)
    try:
        # On SQLite the transaction itself begins with the write lock.
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                if not still_writes(connection):
                    raise SettingsError("CHAT_DATABASE_URL: this database takes no writes; is it a standby?")
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("core.db") / "migrations"))
    return config
