"""The database under many writers, and when it fails: what was told to be stored is, and nothing else."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.db import engines
from core.db.session import Database, DatabaseUnavailable

PATIENCE = 20.0
WRITERS, WRITES = 50, 20
OTHER_WRITES = 200
OTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO lines VALUES (?)", (f"other {number}",))
    connection.execute("UPDATE totals SET total = total + 1")
    connection.execute("COMMIT")
"""

Work = Callable[[Session], Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "test.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE lines (line TEXT PRIMARY KEY)")
        connection.execute("CREATE TABLE totals (total INTEGER)")
        connection.execute("INSERT INTO totals VALUES (0)")
        connection.commit()
    return path


@pytest.fixture
async def db(file: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()


def insert(line: str) -> Work:
    def work(session: Session) -> str:
        session.execute(text("INSERT INTO lines VALUES (:line)"), {"line": line})
        session.execute(text("UPDATE totals SET total = total + 1"))
        return line

    return work


def stored(file: Path) -> list[str]:
    """The lines that any process can see."""
    with closing(sqlite3.connect(file)) as connection:
        return [line for (line,) in connection.execute("SELECT line FROM lines ORDER BY line")]


async def read_lines(db: Database) -> list[str]:
    return await db.read(lambda s: list(s.scalars(text("SELECT line FROM lines ORDER BY line"))))


class Busy:
    """Keeps the writer at work, so that what is written next shares one commit."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._begun, self._let_go = threading.Event(), threading.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._db.write(self._work))
        assert await asyncio.to_thread(self._begun.wait, PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._let_go.set()
        await self._task

    def _work(self, session: Session) -> None:
        del session
        self._begun.set()
        assert self._let_go.wait(PATIENCE)


async def in_one_group(db: Database, *works: Work) -> list[Any]:
    """The results of these jobs, all of one commit; an exception where a job failed."""
    async with asyncio.timeout(PATIENCE):
        async with Busy(db):
            jobs = [asyncio.create_task(db.write(work)) for work in works]
            await asyncio.sleep(0)
        return await asyncio.gather(*jobs, return_exceptions=True)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process holds the write lock."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def other_process(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes to the same file as soon as it is told to go."""
    command = [sys.executable, "-c", OTHER_PROCESS, str(file), str(OTHER_WRITES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


async def test_fifty_writers_beside_another_process_lose_nothing(db: Database, file: Path) -> None:
    async def write(writer: int) -> None:
        for number in range(WRITES):
            await db.write(insert(f"{writer} {number}"))

    with other_process(file) as other:
        finished = asyncio.create_task(asyncio.to_thread(other.communicate, b"go\n", PATIENCE))
        await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        await finished
        assert other.returncode == 0

    written = {f"{writer} {number}" for writer in range(WRITERS) for number in range(WRITES)}
    assert set(stored(file)) == written | {f"other {number}" for number in range(OTHER_WRITES)}
    total = await db.read(lambda session: session.scalar(text("SELECT total FROM totals")))
    assert total == WRITERS * WRITES + OTHER_WRITES


async def test_everybody_reads_what_they_have_written(db: Database) -> None:
    async def write_and_read(number: int) -> None:
        line = await db.write(insert(f"{number}"))
        assert line in await read_lines(db)

    await asyncio.gather(*(write_and_read(number) for number in range(100)))


async def test_reads_do_not_wait_for_writers(db: Database, file: Path) -> None:
    await db.write(insert("before"))
    with locked(file):
        assert await asyncio.wait_for(read_lines(db), PATIENCE) == ["before"]


async def test_a_read_cannot_write(db: Database, file: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        await db.read(insert("slipped in"))
    assert stored(file) == []


class Odd(Exception):
    """What a job may raise."""


def fail_with(error: BaseException) -> Work:
    def work(session: Session) -> None:
        insert("from the failed job")(session)
        raise error

    return work


def give_up(session: Session) -> str:
    """A job that undoes its own work and returns."""
    insert("from the job that gave up")(session)
    session.rollback()
    return "gave up"


@pytest.mark.parametrize("error", [Odd(), ValueError("no"), StopIteration(), RecursionError()])
async def test_a_job_that_raises_undoes_only_itself(db: Database, file: Path, error: BaseException) -> None:
    results = await in_one_group(db, insert("one"), fail_with(error), insert("two"))

    assert (results[0], results[2]) == ("one", "two")
    assert isinstance(results[1], BaseException)
    assert stored(file) == ["one", "two"]


async def test_a_job_that_breaks_a_rule_of_the_database_undoes_only_itself(db: Database, file: Path) -> None:
    results = await in_one_group(db, insert("one"), insert("one"), give_up, insert("two"))

    assert results[0::2] == ["one", "gave up"]
    assert isinstance(results[1], IntegrityError)
    assert results[3] == "two"
    assert stored(file) == ["one", "two"]


async def test_a_waiter_that_leaves_changes_nothing_for_the_others(db: Database, file: Path) -> None:
    async with Busy(db):
        leaver, stayer = (asyncio.create_task(db.write(insert(line))) for line in ("left", "stayed"))
        await asyncio.sleep(0)
        leaver.cancel()

    assert await asyncio.wait_for(stayer, PATIENCE) == "stayed"
    assert leaver.cancelled()
    assert stored(file) == ["left", "stayed"]


async def test_a_waiter_whose_loop_is_gone_does_not_stop_the_writer(db: Database) -> None:
    async def leave() -> None:
        async with asyncio.timeout(PATIENCE):
            begun = threading.Event()
            task = asyncio.create_task(db.write(lambda _session: begun.set()))
            await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()

    await asyncio.to_thread(lambda: asyncio.run(leave()))

    assert await asyncio.wait_for(db.write(insert("one")), PATIENCE) == "one"


def fill_the_disk(session: Session) -> None:
    """A job for which there is no room: SQLite then undoes the whole transaction, not just its part."""
    pages = session.scalar(text("PRAGMA page_count"))
    session.execute(text(f"PRAGMA max_page_count={pages}"))
    insert("x" * 100_000)(session)


async def test_a_full_disk_is_told_to_every_job_whose_work_it_undid(db: Database, file: Path) -> None:
    results = await in_one_group(db, insert("one"), fill_the_disk, insert("two"))

    assert [type(result) for result in results] == [DatabaseUnavailable] * 3
    assert stored(file) == []
    await db.write(lambda session: session.execute(text("PRAGMA max_page_count=100000")).close())
    assert await in_one_group(db, insert("one"), insert("two")) == ["one", "two"]
    assert stored(file) == ["one", "two"]


def break_a_promise(session: Session) -> str:
    """A job that only the commit of its group finds wrong."""
    session.execute(text("INSERT INTO promises VALUES ('nowhere')"))
    return "promised"


async def test_a_commit_that_fails_is_told_to_every_waiter(db: Database, file: Path) -> None:
    table = "CREATE TABLE promises (line TEXT REFERENCES lines DEFERRABLE INITIALLY DEFERRED)"
    await db.write(lambda session: session.execute(text(table)).close())

    results = await in_one_group(db, insert("one"), break_a_promise, insert("two"))

    assert [type(result) for result in results] == [IntegrityError] * 3
    assert stored(file) == []
    assert await in_one_group(db, insert("one"), insert("two")) == ["one", "two"]


async def test_a_lock_that_another_process_keeps_is_told_to_every_waiter(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_SECONDS", 0.1)
    with closing(Database(f"sqlite:///{file}")) as db:
        with locked(file):
            jobs = [db.write(insert(f"{number}")) for number in range(20)]
            results = await asyncio.wait_for(asyncio.gather(*jobs, return_exceptions=True), PATIENCE)
        assert {type(result) for result in results} == {DatabaseUnavailable}
        assert stored(file) == []
        assert await in_one_group(db, insert("one"), insert("two")) == ["one", "two"]


async def test_closing_commits_what_was_accepted_and_takes_no_more(db: Database, file: Path) -> None:
    lines = sorted(f"{number}" for number in range(300))  # more than one group
    jobs = [asyncio.create_task(db.write(insert(line))) for line in lines]
    await asyncio.sleep(0)

    db.close()

    assert await asyncio.wait_for(asyncio.gather(*jobs), PATIENCE) == lines
    assert stored(file) == lines
    with pytest.raises(RuntimeError):
        await db.write(insert("late"))
