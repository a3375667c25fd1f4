"""Event logs for many processes: each has those that it needs in memory, and Redis or Valkey between them.

What is written here is in memory first, and pushed (`redis_writer`). What others write is mirrored for as
long as somebody here reads it: first the subscription begins, then what Redis keeps is read, and what comes
twice is dropped; so no event is missed, however often the connection is lost. Readers read memory only.
"""

import asyncio
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import WeakSet

import msgspec

from core.broker.broker import PREFIX, TIMEOUT_SECONDS, UNREACHABLE, Broker, Subscriber
from core.db.records import Run
from core.logs import get_logger
from core.runs.events import Cursor, Event, RunEnd
from core.runs.memory_log import MemoryLog
from core.runs.redis_scripts import READ, channel
from core.runs.redis_writer import RedisWriter
from core.runs.run_log import MemoryReader, RunLog

SILENCE_SECONDS = 5.0
RETRY_SECONDS = 0.5
BACK = PREFIX + "back"

_logger = get_logger(__name__)
_decode = msgspec.msgpack.Decoder(list[Event]).decode


@dataclass(eq=False, slots=True)
class _Mirror:
    """A run that another process writes, or will."""

    log: RunLog
    heard_at: float
    is_kept: bool = False
    """Whether it is wanted although nobody reads it: it was sent here, and may yet be read."""
    readers: WeakSet[MemoryReader] = field(default_factory=WeakSet)
    openers: int = 0
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    is_found: bool = False
    syncing: asyncio.Task[None] | None = None
    is_stale: bool = False


class RedisLog:
    """All logs that this process writes or reads."""

    def __init__(self, broker: Broker, *, run_bytes: int, retention_seconds: float) -> None:
        self._memory = MemoryLog(run_bytes=run_bytes, retention_seconds=retention_seconds)
        self._broker = broker
        self._writer = RedisWriter(broker, run_bytes=run_bytes, fenced=self._lost)
        self._mirrors: dict[UUID, _Mirror] = {}
        self._is_leaving = False
        # Whenever the broker is back, it may have lost everything.
        broker.subscribe(BACK, Subscriber(lambda _: None, self._writer.push_all))

    async def close(self) -> None:
        """Push what is left."""
        for run_id in list(self._mirrors):
            self._stop_mirror(run_id)
        await self._writer.close()

    # --- writing ---------------------------------------------------------------------------

    def open(self, run_id: UUID, epoch: int) -> None:
        """See `EventLog.open`."""
        self._memory.open(run_id, epoch)

    def append(self, run_id: UUID, epoch: int, events: Sequence[Event]) -> int:
        """See `EventLog.append`."""
        last_seq = self._memory.append(run_id, epoch, events)
        if run_id in self._mirrors:
            self._stop_mirror(run_id)
        log = self._memory.find(run_id)
        if log is not None:
            self._writer.push(run_id, log, events)
        return last_seq

    def tell_end(self, run_id: UUID, epoch: int, end: RunEnd) -> None:
        """See `EventLog.tell_end`."""
        self._writer.push_end(run_id, epoch, end)

    def forget(self, run_id: UUID) -> None:
        """See `EventLog.forget`."""
        self._stop_mirror(run_id)
        self._memory.forget(run_id)
        self._writer.forget(run_id)

    def purge(self) -> None:
        """See `EventLog.purge`; mirrors that nobody reads any more go, too."""
        for run_id in self._memory.purge():
            self._writer.forget(run_id)
        for run_id, mirror in list(self._mirrors.items()):
            if mirror.log.ended_at is not None:
                self._stop_mirror(run_id)
            elif not (mirror.is_kept or mirror.readers or mirror.openers):
                self._stop_mirror(run_id)
                self._memory.forget(run_id)

    # --- reading ---------------------------------------------------------------------------

    async def open_reader(self, run: Run, after: Cursor | None) -> MemoryReader | None:
        """See `EventLog.open_reader`."""
        log = self._memory.find(run.id)
        if log is None:
            self._memory.open(run.id, run.epoch)
            log = self._memory.find(run.id)
            assert log is not None  # noqa: S101 - it was just opened
            self._mirror(run.id, log)
        mirror = self._mirrors.get(run.id)
        if mirror is None:
            return MemoryReader(log, after)
        mirror.openers += 1  # else it would be let go meanwhile: nobody reads it yet
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await mirror.synced.wait()
        except TimeoutError:
            pass  # the broker is away: the reader waits, with what is known here
        finally:
            mirror.openers -= 1
        if run.status.is_final and not mirror.is_found:
            return None  # `purge` lets the mirror go
        reader = MemoryReader(log, after, is_mirror=True)
        mirror.readers.add(reader)
        return reader

    def follow(self, run_id: UUID) -> None:
        """See `EventLog.follow`."""
        log = self._memory.find(run_id)
        if log is not None and run_id not in self._mirrors and not self._writer.writes(run_id):
            self._mirror(run_id, log).is_kept = True

    def silent(self) -> list[UUID]:
        """See `EventLog.silent`."""
        now = time.monotonic()
        silent = []
        for run_id, mirror in self._mirrors.items():
            if mirror.log.ended_at is None and mirror.heard_at + SILENCE_SECONDS < now:
                mirror.heard_at = now
                silent.append(run_id)
        return silent

    def conclude(self, run_id: UUID, text: str, last_seq: int, end: RunEnd) -> None:
        """See `EventLog.conclude`."""
        self._memory.conclude(run_id, text, last_seq, end)

    def let_go(self, kept: Container[UUID]) -> None:
        """See `EventLog.let_go`; who comes to read what others write is told the same from now on."""
        self._is_leaving = True
        self._memory.let_go(kept)

    def _mirror(self, run_id: UUID, log: RunLog) -> _Mirror:
        if self._is_leaving:
            log.let_go()
        mirror = self._mirrors[run_id] = _Mirror(log, heard_at=time.monotonic())

        def message(data: bytes) -> None:
            epoch, first, events = data.split(b" ", 2)
            mirror.heard_at = time.monotonic()
            self._take(run_id, mirror, int(epoch), int(first), _decode(events))

        self._broker.subscribe(channel(run_id), Subscriber(message, lambda: self._resync(run_id, mirror)))
        return mirror

    def _stop_mirror(self, run_id: UUID) -> None:
        mirror = self._mirrors.pop(run_id, None)
        if mirror is not None:
            self._broker.unsubscribe(channel(run_id))
            if mirror.syncing is not None:
                mirror.syncing.cancel()

    def _lost(self, run_id: UUID) -> None:
        """Another process has taken this run over: what it says counts, not what was written here."""
        log = self._memory.find(run_id)
        if log is None or log.ended_at is not None:
            return
        log.epoch += 1
        log.jump("", 0)
        self._mirror(run_id, log).is_kept = True

    def _take(self, run_id: UUID, mirror: _Mirror, epoch: int, first: int, events: list[Event]) -> None:
        log = mirror.log
        known = log.last_seq + 1 - first
        if epoch < log.epoch or known >= len(events) or log.ended_at is not None:
            return
        if known < 0:
            self._resync(run_id, mirror)
            return
        log.epoch = epoch
        self._memory.append(run_id, epoch, events[known:])

    def _resync(self, run_id: UUID, mirror: _Mirror) -> None:
        """Read what Redis keeps and memory lacks; once more, if that is under way."""
        mirror.is_stale = True
        if mirror.syncing is None or mirror.syncing.done():
            mirror.syncing = asyncio.create_task(self._sync(run_id, mirror), name=f"mirror {run_id}")

    async def _sync(self, run_id: UUID, mirror: _Mirror) -> None:
        log = mirror.log
        while mirror.is_stale:
            mirror.is_stale = False
            try:
                # Nothing is behind event 0 of any epoch, and everything behind that of epoch 0.
                epoch = log.epoch if log.last_seq else 0
                found = await self._writer.call(READ, run_id, epoch, log.last_seq)
            except UNREACHABLE as error:
                _logger.info("run not read yet", run_id=str(run_id), error=type(error).__name__)
                mirror.is_stale = True
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if found is not None:
                self._catch_up(run_id, mirror, found)
            mirror.synced.set()

    def _catch_up(self, run_id: UUID, mirror: _Mirror, found: list[Any]) -> None:
        epoch, _, base, text, entries = found
        log = mirror.log
        mirror.is_found = True
        if epoch < log.epoch or log.ended_at is not None:
            return
        if log.last_seq + 1 < base:
            log.jump(text.decode() if text is not None else "", base - 1)
        for entry_id, fields in entries:
            entry_epoch, last = map(int, entry_id.split(b"-"))
            events = _decode(fields[b"e"] if isinstance(fields, dict) else fields[1])
            if last - len(events) > log.last_seq:
                _logger.error("event log has a hole", run_id=str(run_id), seq=log.last_seq + 1)
                break  # the end is told from the database
            log.epoch = min(log.epoch, entry_epoch)
            self._take(run_id, mirror, entry_epoch, last + 1 - len(events), events)
        log.epoch = epoch
