"""SQLite's writer: one thread, one connection, many jobs in one commit.

A commit costs far more than the statements in it. So whatever has arrived while the last commit was
under way shares the next one, each job in its own savepoint.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.logs import get_logger

Result = TypeVar("Result")

MOST_JOBS_IN_A_COMMIT = 256
ATTEMPTS = 3

_logger = get_logger(__name__)


@dataclass(slots=True)
class _Job:
    work: Callable[[Session], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    committed: Callable[[], None]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell the waiter, in its own loop; a waiter that was cancelled is left alone."""
        if self.error is None:
            self.committed()
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class GroupCommitWriter:
    """Runs jobs one after the other in a thread of its own and commits them in groups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="db-write", daemon=True)
        self._thread.start()
        self._closed = False

    async def run(self, work: Callable[[Session], Result], committed: Callable[[], None]) -> Result:
        """See `Writer.run`."""
        if self._closed:
            raise RuntimeError("the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._jobs.put(_Job(work, loop, future, committed))
        return await future

    def close(self) -> None:
        """Commit what was accepted, then end the thread."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._engine.dispose()

    def _serve(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, last = self._gather(first)
            self._commit(jobs)
            _settle(jobs)
            if last:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        jobs = [first]
        while len(jobs) < MOST_JOBS_IN_A_COMMIT:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _commit(self, jobs: list[_Job]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            begun = False
            try:
                with self._engine.begin() as connection:
                    begun = True
                    _run_all(connection, jobs)
            except Exception as error:  # noqa: BLE001 - the thread must live; the waiters are told
                if not begun and isinstance(error, OperationalError) and attempt < ATTEMPTS:
                    continue  # another process held the lock all the time; nothing has run yet
                # Nothing of the group is stored: a full disk, a lock that another process keeps.
                _logger.warning("commit failed", jobs=len(jobs), error=type(error).__name__)
                for job in jobs:
                    job.error = job.error or error
            return


def _run_all(connection: Connection, jobs: list[_Job]) -> None:
    for job in jobs:
        _run_in_savepoint(connection, job)
        if not getattr(connection.connection.dbapi_connection, "in_transaction", True):
            # A full disk, say: SQLite has undone the jobs before this one, too.
            raise OperationalError(None, None, job.error or RuntimeError("rolled back"))


def _run_in_savepoint(connection: Connection, job: _Job) -> None:
    try:
        # The mode makes the session's transaction a savepoint of the group's.
        with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
            job.result = job.work(session)
            session.commit()
    except StopIteration as error:  # no future takes one
        job.error = RuntimeError(repr(error))
    except BaseException as error:  # noqa: BLE001 - it is handed to the waiter, whatever it is
        job.error = error


def _settle(jobs: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, group in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle_all, group)


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        job.settle()
