"""A PostgreSQL that is up and does not do what it should: writes are refused in words, and locks let go."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.db import engines
from core.db.migrate import migrate, missing_sql
from core.db.session import Database, DatabaseUnavailable
from core.errors import SettingsError
from tests.postgresql import postgresql

PATIENCE = 20.0


@pytest.fixture
def url() -> Iterator[str]:
    with postgresql() as found:
        with psycopg.connect(found, autocommit=True) as connection:
            connection.execute("CREATE TABLE lines (line TEXT)")
            connection.execute("INSERT INTO lines VALUES ('first')")
        yield found


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    db = Database(url)
    try:
        yield db
    finally:
        db.close()


def change(session: Session) -> None:
    session.execute(text("UPDATE lines SET line = 'changed'"))


def own_backend(session: Session) -> int:
    """Which connection of the server's this is."""
    return int(session.scalar(text("SELECT pg_backend_pid()")) or 0)


def set_read_only(url: str, value: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        connection.execute("SELECT pg_reload_conf()")


async def test_a_process_that_stops_in_mid_transaction_keeps_others_waiting_for_a_while_only(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "IDLE_IN_TRANSACTION_SECONDS", 1)
    has_changed, goes_on = threading.Event(), threading.Event()

    def stop_half_way(session: Session) -> None:
        change(session)
        has_changed.set()
        assert goes_on.wait(PATIENCE)

    async with opened(url) as stopped, opened(url) as other:
        work = asyncio.create_task(stopped.write(stop_half_way))
        await asyncio.to_thread(has_changed.wait, PATIENCE)
        await asyncio.wait_for(other.write(change), PATIENCE)
        goes_on.set()
        with pytest.raises(DatabaseUnavailable):
            await work
        await stopped.write(change)


async def test_a_process_that_stops_while_it_sends_rows_does_so_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "WRITING_SECONDS", 1)
    has_changed, goes_on = threading.Event(), threading.Event()

    def stop_in_a_pipeline(session: Session) -> None:
        driver: psycopg.Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]
        with driver.pipeline():  # as `executemany` does
            driver.execute("UPDATE lines SET line = 'half'")
            driver.pgconn.send_flush_request()
            driver.pgconn.flush()
            has_changed.set()
            assert goes_on.wait(PATIENCE)

    async with opened(url) as stopped, opened(url) as other:
        work = asyncio.create_task(stopped.write(stop_in_a_pipeline))
        await asyncio.to_thread(has_changed.wait, PATIENCE)
        await asyncio.wait_for(other.write(change), PATIENCE)
        goes_on.set()
        with pytest.raises((DatabaseUnavailable, psycopg.Error)):
            await work


async def test_a_database_that_takes_no_writes_is_not_available(url: str) -> None:
    migrate(url)
    async with opened(url) as db:
        await db.ping()
        before = await db.read(own_backend), await db.write(own_backend)
        set_read_only(url, "on")
        while True:  # until it has read its settings anew
            try:
                await db.ping()
            except DatabaseUnavailable:
                break
        with pytest.raises(DatabaseUnavailable):
            await db.write(change)
        with pytest.raises(SettingsError, match="takes no writes"):
            migrate(url)
        set_read_only(url, "off")
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await db.write(change)
                except DatabaseUnavailable:
                    continue
                break
        # Another server may stand at the address by now: none of the connections was kept.
        assert not {*before} & {await db.read(own_backend), await db.write(own_backend)}


@pytest.mark.parametrize("work", [migrate, missing_sql])
def test_a_database_of_a_newer_version_is_told(url: str, work: object) -> None:
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    with pytest.raises(SettingsError, match="newer version"):
        work(url)  # type: ignore[operator]
