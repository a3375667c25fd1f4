"""What a transaction announces is published once it is committed, and only then, on both databases."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.db.announcements import announce
from core.db.session import Database
from core.signals import Signals
from tests.postgresql import postgresql

PATIENCE = 10.0


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    with postgresql() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def signals() -> Signals:
    return Signals()


@pytest.fixture
async def db(url: str, signals: Signals) -> AsyncIterator[Database]:
    with closing(Database(url, signals)) as database:
        yield database


def announcing(topic: str) -> Callable[[Session], None]:
    return lambda session: announce(session, topic)


async def test_it_is_published_before_the_writer_hears_of_the_commit(db: Database, signals: Signals) -> None:
    with signals.listen("news") as listener, signals.listen("others") as others:
        await db.write(announcing("news"))
        assert await listener.wait(0)
        assert not await others.wait(0)


async def test_nothing_is_published_of_a_transaction_that_failed(db: Database, signals: Signals) -> None:
    def fail(session: Session) -> None:
        announce(session, "news")
        raise LookupError

    with signals.listen("news") as listener:
        with pytest.raises(LookupError):
            await db.write(fail)
        await db.write(announcing("others"))
        assert not await listener.wait(0)


async def test_it_is_published_although_the_caller_has_left(db: Database, signals: Signals) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def slow(session: Session) -> None:
        begun.set()
        assert let_go.wait(PATIENCE)
        session.execute(text("SELECT 1"))
        announce(session, "news")

    with signals.listen("news") as listener:
        writing = asyncio.create_task(db.write(slow))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        writing.cancel()
        await asyncio.wait([writing])
        let_go.set()
        assert await listener.wait(PATIENCE)


async def test_a_job_that_is_tried_again_publishes_what_its_last_try_announced(
    postgresql_url: str, signals: Signals
) -> None:
    tries = iter(("first", "second"))

    def deadlocked_once(session: Session) -> None:
        topic = next(tries)
        announce(session, topic)
        if topic == "first":
            raise OperationalError("", {}, DeadlockDetected())

    with (
        closing(Database(postgresql_url, signals)) as db,
        signals.listen("first") as first,
        signals.listen("second") as second,
    ):
        await db.write(deadlocked_once)
        assert [await first.wait(0), await second.wait(0)] == [False, True]
