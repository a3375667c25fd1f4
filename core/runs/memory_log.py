"""Event logs in memory: all of them for one process, and what each of many processes reads from."""

import time
from collections import OrderedDict
from collections.abc import Container, Sequence
from uuid import UUID

from core.db.records import Run
from core.runs.events import Cursor, Event, EventKind, RunEnd
from core.runs.log import Fenced
from core.runs.run_log import MemoryReader, RunLog


class MemoryLog:
    """All logs of this process; those of finished runs are kept for a while."""

    def __init__(
        self, *, run_bytes: int, retention_seconds: float, retained_bytes: int = 256 * 2**20
    ) -> None:
        self._run_bytes = run_bytes
        self._retention = retention_seconds
        self._retained_bytes = retained_bytes
        self._logs: dict[UUID, RunLog] = {}
        self._ended: OrderedDict[UUID, RunLog] = OrderedDict()

    def open(self, run_id: UUID, epoch: int) -> None:
        """See `EventLog.open`."""
        log = self._logs.get(run_id)
        if log is None:
            log = self._logs[run_id] = RunLog(epoch, self._run_bytes)
            log.append([Event(EventKind.QUEUED)])
        elif epoch > log.epoch:
            log.epoch = epoch
        log.is_let_go = False

    def append(self, run_id: UUID, epoch: int, events: Sequence[Event]) -> int:
        """See `EventLog.append`."""
        log = self._logs.get(run_id)
        if log is None or log.epoch != epoch or log.ended_at is not None:
            raise Fenced
        log.append(events)
        if log.ended_at is not None:
            self._ended[run_id] = log
        return log.last_seq

    def find(self, run_id: UUID) -> RunLog | None:
        """The log of this run, if it is kept here."""
        return self._logs.get(run_id)

    def reader(self, run_id: UUID, after: Cursor | None) -> MemoryReader | None:
        """A reader of what follows `after`; None if this log is not, or no longer, kept."""
        log = self._logs.get(run_id)
        return MemoryReader(log, after) if log is not None else None

    async def open_reader(self, run: Run, after: Cursor | None) -> MemoryReader | None:
        """See `EventLog.open_reader`."""
        return self.reader(run.id, after)

    def follow(self, run_id: UUID) -> None:
        """See `EventLog.follow`: nobody else writes."""

    def tell_end(self, run_id: UUID, epoch: int, end: RunEnd) -> None:
        """See `EventLog.tell_end`: the readers of a dead process went with it."""

    def silent(self) -> list[UUID]:
        """See `EventLog.silent`: what is written here ends here."""
        return []

    def conclude(self, run_id: UUID, text: str, last_seq: int, end: RunEnd) -> None:
        """See `EventLog.conclude`."""
        log = self._logs.get(run_id)
        if log is None or log.ended_at is not None:
            return
        if log.last_seq < last_seq - 1:
            log.jump(text, last_seq - 1)
        self.append(run_id, log.epoch, [Event(EventKind.END, end=end)])

    def let_go(self, kept: Container[UUID]) -> None:
        """See `EventLog.let_go`."""
        for run_id, log in self._logs.items():
            if run_id not in kept:
                log.let_go()

    def forget(self, run_id: UUID) -> None:
        """See `EventLog.forget`."""
        self._logs.pop(run_id, None)
        self._ended.pop(run_id, None)

    def purge(self) -> list[UUID]:
        """See `EventLog.purge`; the runs whose logs were dropped."""
        dropped = []
        oldest_kept = time.monotonic() - self._retention
        size = sum(log.size + log.text_size for log in self._ended.values())
        while self._ended:
            run_id, log = next(iter(self._ended.items()))
            if (log.ended_at or 0) > oldest_kept and size <= self._retained_bytes:
                break
            size -= log.size + log.text_size
            self.forget(run_id)
            dropped.append(run_id)
        return dropped
