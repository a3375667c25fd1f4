"""What a process sees to again and again: checkpoints, and the runs that nobody writes any more."""

import asyncio
import functools
from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from core.db.records import Run
from core.db.session import Database, DatabaseUnavailable
from core.logs import get_logger
from core.runs import store
from core.runs.checkpoints import checkpoint
from core.runs.events import RunEnd
from core.runs.log import EventLog
from core.runs.reaper import reap
from core.runs.writer import AnswerWriter, Stop
from core.settings import Settings

REAP_SECONDS = 5.0

_logger = get_logger(__name__)


class Runs(Protocol):
    """The runs of this process."""

    process_id: UUID
    writers: dict[UUID, AnswerWriter]
    secrets: dict[UUID, str]

    def go_on_with(self, thread_ids: Iterable[UUID]) -> None:
        """Start what waits in these threads, when there is room."""
        ...

    def is_at_work(self, run_id: UUID, thread_id: UUID) -> bool:
        """Whether this run is written, or a run of its thread is being claimed just now."""
        ...

    def begin_anew(self, run: Run) -> None:
        """Write a run that is this process's already."""
        ...


class Upkeep:
    """Saves what is written, and looks for what was left."""

    def __init__(self, settings: Settings, db: Database, log: EventLog, runs: Runs) -> None:
        self._settings = settings
        self._db = db
        self._log = log
        self._runs = runs

    async def run(self, *, alone: bool) -> None:
        """Until it is cancelled. `alone` says that no other process writes this database."""
        loop = asyncio.get_running_loop()
        reaped_at = loop.time()
        while True:
            await asyncio.sleep(self._settings.checkpoint_seconds)
            try:
                self._log.purge()
                await self._checkpoint()
                if loop.time() - reaped_at > REAP_SECONDS:
                    reaped_at = loop.time()
                    await self._look_after_own()
                    if not alone:
                        await self._look_after_others()
            except DatabaseUnavailable:
                # On its return the others need time to renew their leases.
                reaped_at = loop.time()
                _logger.warning("checkpoint not saved: the database is not available")
            except Exception:
                _logger.exception("checkpoint failed")

    async def _look_after_own(self) -> None:
        """Begin what was claimed by a transaction of which only the answer was lost."""
        for run_id, thread_id in await self._db.read(
            lambda session: store.started_by(session, self._runs.process_id)
        ):
            if self._runs.is_at_work(run_id, thread_id):
                continue
            run = await self._db.write(
                functools.partial(store.begin_anew, run_id=run_id, process_id=self._runs.process_id)
            )
            if run is not None:
                _logger.warning("run begun anew: its claim was not known to be stored", run_id=str(run.id))
                self._runs.begin_anew(run)

    async def _look_after_others(self) -> None:
        """End what dead processes wrote, go on with what they left, tell readers of ends that went untold."""
        await self.reap(lease_counts=True)
        self._runs.go_on_with(await self._db.read(store.forsaken_threads))
        for run_id in self._log.silent():
            run, text = await self._db.read(functools.partial(store.stored_answer, run_id=run_id))
            if run.status.is_final:
                self._log.conclude(run_id, text, run.last_seq, RunEnd.of(run))

    async def reap(self, *, lease_counts: bool) -> None:
        """End what dead processes wrote: all others are, unless their leases count."""
        reaped = await reap(self._db, self._runs.process_id, lease_counts=lease_counts)
        for run in reaped:
            self._log.tell_end(run.run_id, run.epoch, run.end)
        self._runs.go_on_with(run.thread_id for run in reaped)

    async def _checkpoint(self) -> None:
        if self._runs.secrets:
            await self._db.write(lambda session: store.renew_secrets(session, self._runs.process_id))
        progress = [(writer, writer.progress()) for writer in self._runs.writers.values()]
        if not progress:
            return
        lost = await self._db.write(lambda session: checkpoint(session, [item for _, item in progress]))
        for writer, item in progress:
            if item.run_id in lost and item.run_id in self._runs.writers:
                writer.stop(Stop.LOST)
            else:
                writer.saved(item)
