"""The engine: starts runs, one at a time per thread, and ends each of them exactly once.

A run is a task of its own. No reader, request or connection can stop it; only `cancel`, a failing
provider or the end of the process do, and each of these is saved before any reader is told.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from core.broker.cancels import SharedCancels
from core.db.records import Run, RunStatus
from core.db.session import Database, DatabaseUnavailable
from core.errors import Unavailable
from core.files.store import FileStore
from core.ids import new_id
from core.logs import bind_ids, forget_ids, get_logger
from core.provider.client import ProviderClient
from core.runs import ending, store
from core.runs.events import INTERNAL_ERROR, SERVER_STOPPED, Cursor, Event, EventKind, RunEnd
from core.runs.log import EventLog, Fenced, Reader
from core.runs.upkeep import Upkeep
from core.runs.writer import INTERNAL_SENTENCE, STOPPED_SENTENCE, AnswerWriter, Stop, Tools, patiently
from core.settings import Settings

ASK_AGAIN_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 5.0
# As it is; with its text and nothing else; with nothing at all.
ATTEMPTS_TO_SAVE = 2

Result = TypeVar("Result")

_logger = get_logger(__name__)


class Draining(Unavailable):
    code = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("The server is shutting down; send again in a moment")


class RunEngine:
    """Runs the answers of this process."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        files: FileStore,
        provider: ProviderClient,
        log: EventLog,
        *,
        cancels: SharedCancels | None = None,
    ) -> None:
        """`cancels` reaches the other processes that write runs of this database, if there are any."""
        self.process_id = new_id()
        self._settings = settings
        self._db = db
        self._log = log
        self._cancels = cancels
        self._tools = Tools(settings, db, files, provider, log)
        self.writers: dict[UUID, AnswerWriter] = {}
        self.secrets: dict[UUID, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cancelled_early: set[UUID] = set()
        # Runs that are being stored, and threads whose next run is being claimed.
        self._in_flight: Counter[UUID] = Counter()
        self._reserved = 0
        self._waiting_threads: deque[UUID] = deque()
        self._upkeep = Upkeep(settings, db, log, self)
        self._clock_task: asyncio.Task[None] | None = None
        self._draining = False
        self._stopping = False

    # --- life of the process ---------------------------------------------------------------

    async def start(self, *, alone: bool) -> None:
        """Reap what a dead process left and go on with what waits.

        `alone` says that no other process writes this database, so that every unfinished run of
        another one is dead, whatever its lease says.
        """
        if self._cancels is not None:
            self._cancels.listen(self._cancel_here)
        await self._upkeep.reap(lease_counts=not alone)
        for run in await self._db.read(store.waiting_runs):
            if self._cancels is None:  # else another process may go on with it: who reads it here, mirrors it
                self._log.open(run.id, run.epoch)
            self._waiting_threads.append(run.thread_id)
        self._start_waiting()
        self._clock_task = asyncio.create_task(self._upkeep.run(alone=alone), name="run engine clock")

    async def drain(self, grace_seconds: float) -> None:
        """Take no more runs, let those at work finish for a while, then save what they have.

        Queued runs stay queued in the database: the next process goes on with them.
        """
        self._draining = True
        self._waiting_threads.clear()
        if self._settings.is_one_of_many:
            self._log.let_go(self.writers)
        if self._tasks and not self._stopping:
            _logger.info("draining", at_work=len(self._tasks), grace_seconds=grace_seconds)
            await self._quiet(grace_seconds)
        self.stop_now()
        await self._quiet(LONGEST_RETRY_SECONDS)
        self._log.let_go(())
        if self._clock_task is not None:
            self._clock_task.cancel()
            await asyncio.wait([self._clock_task])

    def stop_now(self) -> None:
        """End every answer at once and save what it has; what starts from now on ends as well."""
        self._stopping = True
        for writer in list(self.writers.values()):
            writer.stop(Stop.SHUTDOWN)

    async def _quiet(self, seconds: float) -> None:
        """Return when nothing is at work, what starts meanwhile included, or after `seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._tasks and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)

    @property
    def is_draining(self) -> bool:
        """Whether this process takes no more runs."""
        return self._draining

    # --- taking runs in --------------------------------------------------------------------

    def reserve(self, run_id: UUID, text: str) -> UUID | None:
        """Before a run is stored: this process's id if it may claim it at once, else None.

        `text` is what the provider gets should it turn out to be a secret. Follow this by `accept`, or
        by `abandon` if nothing was stored. Raises `Draining`.
        """
        if self._draining:
            raise Draining
        self.secrets[run_id] = text
        self._in_flight[run_id] += 1
        # A reader may come before `accept`, and the run before this one may start it.
        self._log.open(run_id, 1)
        if self._reserved >= self._settings.max_concurrent_runs:
            return None
        self._reserved += 1
        return self.process_id

    def abandon(self, run_id: UUID, claim: UUID | None) -> None:
        """Undo `reserve`: the run was not stored."""
        self._landed(run_id)
        self.secrets.pop(run_id, None)
        self._log.forget(run_id)
        if claim is not None:
            self._release()

    def accept(self, run: Run, claim: UUID | None) -> None:
        """After a run is stored: start it if it was claimed, else let it wait for its turn."""
        self._landed(run.id)
        if run.status is RunStatus.RUNNING:
            self._launch(run)
            return
        if not run.is_secret:
            self.secrets.pop(run.id, None)
        self._log.follow(run.id)
        self._waiting_threads.append(run.thread_id)
        if claim is not None:
            self._release()
        else:
            self._start_waiting()

    async def undisturbed(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, which goes on to its end even if the caller leaves, or a drain begins.

        What is stored half-way would else be known to nobody: a run that no one starts, an end untold.
        """
        return await asyncio.shield(self._spawn(work, "undisturbed"))

    # --- readers and cancellation ----------------------------------------------------------

    async def open_reader(self, run: Run, after: Cursor | None) -> Reader | None:
        """A reader of a run's log; None if the log is not kept (any more)."""
        return await self._log.open_reader(run, after)

    async def cancel(self, run: Run) -> None:
        """End a run: what has arrived is kept. A finished run stays as it is."""
        writer = self.writers.get(run.id)
        if writer is not None:
            writer.stop(Stop.CANCELLED)
            return
        await self.undisturbed(self._cancel_queued(run))

    async def _cancel_queued(self, run: Run) -> None:
        outcome = store.Outcome(RunStatus.CANCELLED, last_seq=2)

        def work(session: Session) -> RunEnd | None:
            return ending.finish(session, run.id, run.epoch, outcome, only_queued=True)

        end = await self._db.write(work)
        self.secrets.pop(run.id, None)
        if end is not None:
            self._log.open(run.id, run.epoch)  # it may have been sent to another process
            self._tell_end(run, end)
            self._waiting_threads.append(run.thread_id)
            self._start_waiting()
        elif (writer := self.writers.get(run.id)) is not None:  # it was started in between
            writer.stop(Stop.CANCELLED)
        else:
            found = await self._db.read(lambda session: store.get(session, run.id))
            if found.status.is_final:
                return
            if found.lease_owner == self.process_id:
                self._cancelled_early.add(run.id)  # it was claimed in between, and is about to start
            else:
                self._spawn(self._cancel_elsewhere(run.id), "cancel elsewhere")

    async def _cancel_elsewhere(self, run_id: UUID) -> None:
        """Ask until the run has ended: who writes it may miss the question, or be dead and not reaped yet."""
        while self._cancels is not None:
            await self._cancels.ask(run_id)
            if self._draining:
                return
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            with contextlib.suppress(DatabaseUnavailable):
                if (await self._db.read(lambda session: store.get(session, run_id))).status.is_final:
                    return

    def _cancel_here(self, run_id: UUID) -> None:
        writer = self.writers.get(run_id)
        if writer is not None:
            writer.stop(Stop.CANCELLED)

    # --- what the upkeep finds -------------------------------------------------------------

    def go_on_with(self, thread_ids: Iterable[UUID]) -> None:
        """Start what waits in these threads, when there is room."""
        self._waiting_threads.extend(set(thread_ids).difference(self._waiting_threads))
        self._start_waiting()

    def is_at_work(self, run_id: UUID, thread_id: UUID) -> bool:
        """Whether this run is written, or a run of its thread is being claimed just now."""
        threads = {writer.run.thread_id for writer in self.writers.values()}
        return thread_id in threads or self._in_flight[run_id] > 0 or self._in_flight[thread_id] > 0

    def begin_anew(self, run: Run) -> None:
        """Write a run that is this process's already."""
        self._reserved += 1
        self._launch(run)

    # --- one run ---------------------------------------------------------------------------

    def _launch(self, run: Run) -> None:
        self._log.open(run.id, run.epoch)
        text = self.secrets.pop(run.id, None)
        writer = AnswerWriter(self._tools, run, text if run.is_secret else None)
        self.writers[run.id] = writer
        if run.id in self._cancelled_early:
            self._cancelled_early.remove(run.id)
            writer.stop(Stop.CANCELLED)
        if self._stopping or (run.is_secret and text is None):  # forgotten with what seemed not to be stored
            writer.stop(Stop.SHUTDOWN)
        self._spawn(self._carry_out(run, writer), f"run {run.id}")

    async def _carry_out(self, run: Run, writer: AnswerWriter) -> None:
        end: RunEnd | None = None
        following: Run | None = None
        bind_ids(run_id=run.id, thread_id=run.thread_id, user_id=run.owner_id)
        try:
            outcome = await writer.write()
            if outcome is not None:
                end, following = await self._save_end(run, outcome)
            self._tell_end(run, end or await self._end_elsewhere(run))
        except Exception:
            # Not even the bare end can be stored: readers are told now, the row is ended at the next start.
            _logger.exception("end of run cannot be saved")
            self._tell_end(run, RunEnd(RunStatus.FAILED, INTERNAL_ERROR, INTERNAL_SENTENCE))
        finally:
            del self.writers[run.id]
            forget_ids()
            if following is not None:
                self._launch(following)
            else:
                self._release()

    async def _end_elsewhere(self, run: Run) -> RunEnd:
        """How a run ended that another process gave up for dead; what waits behind it goes on here."""
        self._waiting_threads.append(run.thread_id)
        found = await patiently(lambda: self._db.read(lambda session: store.get(session, run.id)))
        if found.status.is_final:
            return RunEnd.of(found)
        return RunEnd(RunStatus.FAILED, SERVER_STOPPED, STOPPED_SENTENCE)

    async def _save_end(self, run: Run, outcome: store.Outcome) -> tuple[RunEnd | None, Run | None]:
        """Save the end and claim what waits behind it; keeps trying while the database is away."""

        def work(session: Session) -> tuple[RunEnd | None, Run | None]:
            end = ending.finish(session, run.id, run.epoch, outcome)
            following = None
            if end is not None and not self._draining:
                following = store.claim_next(session, run.thread_id, self.process_id)
            return end, following

        delay, faults = 0.1, 0
        while True:
            try:
                return await self._db.write(work)
            except DatabaseUnavailable:
                _logger.warning("end of run not saved yet", next_try_seconds=delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_RETRY_SECONDS)
            except Exception:
                if self._stopping:
                    raise
                faults += 1
                if faults > ATTEMPTS_TO_SAVE:
                    # Not even the bare end: readers are told, and the thread goes on once it is saved.
                    self._tell_end(run, RunEnd(RunStatus.FAILED, INTERNAL_ERROR, INTERNAL_SENTENCE))
                    await asyncio.sleep(LONGEST_RETRY_SECONDS)
                    continue
                _logger.exception("end of run cannot be saved as it is")
                # What else there is of it may be the fault; the text, too, if that does not help.
                outcome = store.Outcome(
                    RunStatus.FAILED,
                    text=outcome.text if faults == 1 else "",
                    error_code=INTERNAL_ERROR,
                    error=INTERNAL_SENTENCE,
                    last_seq=outcome.last_seq,
                )

    def _tell_end(self, run: Run, end: RunEnd) -> None:
        try:
            self._log.append(run.id, run.epoch, [Event(EventKind.END, end=end)])
        except Fenced:
            return  # it was told already
        _logger.info("run ended", run_id=str(run.id), thread_id=str(run.thread_id), status=end.status.value)

    # --- runs that wait --------------------------------------------------------------------

    def _release(self) -> None:
        self._reserved -= 1
        self._start_waiting()

    def _start_waiting(self) -> None:
        while (
            self._waiting_threads
            and self._settings.llm_enabled
            and self._reserved < self._settings.max_concurrent_runs
            and not self._draining
        ):
            self._reserved += 1
            self._spawn(self._claim(self._waiting_threads.popleft()), "claim")

    async def _claim(self, thread_id: UUID) -> None:
        run: Run | None = None
        self._in_flight[thread_id] += 1
        forget_ids()  # those of whoever made room
        try:
            run = await self._db.write(lambda session: store.claim_next(session, thread_id, self.process_id))
        except DatabaseUnavailable:
            self._waiting_threads.append(thread_id)
            await asyncio.sleep(LONGEST_RETRY_SECONDS)
        except Exception:
            _logger.exception("queued run not started", thread_id=str(thread_id))
        finally:
            if run is not None:
                self._launch(run)
            else:
                self._release()
            self._landed(thread_id)

    def _landed(self, id_: UUID) -> None:
        self._in_flight[id_] -= 1
        if not self._in_flight[id_]:
            del self._in_flight[id_]

    def _spawn(self, work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
