"""One run's events in memory, and its readers.

A log is one list that only grows at its end. A reader is a position in it, so readers cost nothing
while they wait, cannot slow the writer, and need no buffers of their own.
"""

import asyncio
import time
from collections.abc import Sequence

from core.db.records import RunStatus
from core.runs.events import Batch, Cursor, Event, EventKind, Snapshot
from core.runs.log import ComeBack

# An event's own objects, roughly, so that a bound in bytes holds for tiny chunks too.
EVENT_OVERHEAD = 200
MOST_EVENTS_IN_A_BATCH = 256


class RunLog:
    """One run's events from number `base` on, and its text from the very start."""

    def __init__(self, epoch: int, limit: int) -> None:
        self.epoch = epoch
        self.base = 1
        self.last_seq = 0
        self.events: list[Event] = []
        self.texts: list[str] = []
        self.status = RunStatus.QUEUED
        self.ended_at: float | None = None
        # Nobody writes it here any more, and soon nobody reads it here.
        self.is_let_go = False
        # Counts how often events that were given to readers turned out not to be kept by anybody.
        self.generation = 0
        self.size = 0
        self.text_size = 0
        self._limit = limit
        self._waiters: list[asyncio.Future[None]] = []

    def append(self, events: Sequence[Event]) -> None:
        for event in events:
            self.size += len(event.raw) + EVENT_OVERHEAD
            if event.text:
                self.texts.append(event.text)
                self.text_size += len(event.text)
            self._note(event)
        self.events.extend(events)
        self.last_seq += len(events)
        if self.size > self._limit:
            self._trim()
        self._wake_all()

    def let_go(self) -> None:
        """Have readers come back elsewhere, once they have what there is."""
        self.is_let_go = True
        self._wake_all()

    def _wake_all(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                _wake(waiter)

    def next_append(self) -> asyncio.Future[None]:
        """A future that is done after the next append, or when somebody else sets its result."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def forget(self, waiter: asyncio.Future[None]) -> None:
        """Wake a waiter no more, if it is still to be woken."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def text_before(self, seq: int) -> str:
        """The text of all events before number `seq`, which is one of those kept, or the next one."""
        kept = sum(len(event.text) for event in self.events[seq - self.base :])
        return "".join(self.texts)[: self.text_size - kept]

    def jump(self, text: str, seq: int) -> None:
        """Put `text` in place of all events up to number `seq`; readers that are behind get a snapshot."""
        if seq < self.last_seq:
            self.generation += 1
        self.events = []
        self.size = 0
        self.base, self.last_seq = seq + 1, seq
        self.texts, self.text_size = [text], len(text)
        if text:
            self.status = RunStatus.STREAMING

    def _note(self, event: Event) -> None:
        if event.kind is EventKind.RUNNING:
            self.status = RunStatus.RUNNING
        elif event.kind is EventKind.CHUNK:
            self.status = RunStatus.STREAMING
        elif event.end is not None:
            self.status = event.end.status
            self.ended_at = time.monotonic()

    def _trim(self) -> None:
        """Drop the oldest events down to half of the limit, so that trimming stays rare."""
        drop = 0
        while self.size > self._limit // 2 and drop < len(self.events) - 1:
            self.size -= len(self.events[drop].raw) + EVENT_OVERHEAD
            drop += 1
        del self.events[:drop]
        self.base += drop


class MemoryReader:
    """A position in a log."""

    def __init__(self, log: RunLog, after: Cursor | None, *, is_mirror: bool = False) -> None:
        """`is_mirror` says that the log may lag behind what `after` has seen in another process."""
        self._log = log
        self._generation = log.generation
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        if after is None:
            self._seen = 0
        elif after.epoch == log.epoch and (after.seq <= log.last_seq or (is_mirror and log.ended_at is None)):
            self._seen = after.seq
        else:  # another writer's numbering: only a snapshot can follow
            self._seen = -1
        self.done = log.ended_at is not None and self._seen == log.last_seq

    async def next(self, timeout: float | None = None) -> Batch | Snapshot | None:
        """See `Reader.next`."""
        log = self._log
        if self.done:
            return None
        if self._seen >= log.last_seq and self._generation == log.generation:
            if not log.is_let_go:
                await self._news(timeout)
            if self._seen > log.last_seq and log.ended_at is not None:
                self._seen = -1  # what it had seen elsewhere has not come to stay
            elif self._seen >= log.last_seq and self._generation == log.generation:
                # It had seen the end in another process before this log had it.
                self.done = log.ended_at is not None
                if log.is_let_go and not self.done:
                    raise ComeBack
                return None
        if self._seen + 1 < log.base or self._generation != log.generation:
            return self._snapshot()
        start = self._seen + 1 - log.base
        batch = Batch(self._seen + 1, log.events[start : start + MOST_EVENTS_IN_A_BATCH])
        self._seen = batch.last_seq
        if log.ended_at is not None:
            self.done = self._seen == log.last_seq
        return batch

    @property
    def cursor(self) -> Cursor:
        """See `Reader.cursor`."""
        return Cursor(self._log.epoch, max(self._seen, 0))

    @property
    def status(self) -> RunStatus:
        """See `Reader.status`."""
        return self._log.status

    async def _news(self, timeout: float | None) -> None:
        """Return after the next append, or after `timeout` seconds.

        The timer is set anew when it goes off, and not each time: chunks come far more often than silence.
        """
        loop = asyncio.get_running_loop()
        waiter = self._waiter = self._log.next_append()
        if timeout is not None:
            self._deadline = loop.time() + timeout
            if self._timer is None or self._timer.when() > self._deadline:
                self._set_timer(loop)
        try:
            await waiter
        except asyncio.CancelledError:
            self._log.forget(waiter)
            self._stop_timer()
            raise
        finally:
            self._waiter = None
        if self._log.ended_at is not None:
            self._stop_timer()

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stop_timer()
        self._timer = loop.call_at(self._deadline, self._time_is_up, loop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None:
            return  # the next wait sets another
        if loop.time() < self._deadline:
            self._set_timer(loop)
        else:
            self._log.forget(self._waiter)
            _wake(self._waiter)

    def _snapshot(self) -> Snapshot:
        log = self._log
        self._generation = log.generation
        # The end itself is never folded into a snapshot: whoever reads one still sees it come.
        self._seen = log.last_seq - (1 if log.ended_at is not None else 0)
        return Snapshot("".join(log.texts), self._seen, log.status)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
