"""The event log in memory against a model of it: whatever readers do, they end up with the log."""

import asyncio
from collections.abc import Coroutine, Sequence
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.db.records import RunStatus
from core.ids import new_id
from core.runs.events import Batch, Cursor, Event, EventKind, RunEnd, Snapshot
from core.runs.log import Fenced
from core.runs.memory_log import MemoryLog
from core.runs.run_log import EVENT_OVERHEAD, MOST_EVENTS_IN_A_BATCH, MemoryReader

SMALL = EVENT_OVERHEAD * 10
LARGE = EVENT_OVERHEAD * 10_000
LONG = 3600.0
PATIENCE = 5.0
END = Event(EventKind.END, end=RunEnd(RunStatus.COMPLETED))

# A machine under load is slow, not wrong.
unhurried = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
pieces = st.lists(st.text("abc", max_size=4), min_size=1, max_size=14)
numbers = st.integers(0, 1_000_000)
actions = st.one_of(
    st.tuples(st.just("append"), pieces),
    st.tuples(st.just("come"), numbers),
    st.tuples(st.just("read"), numbers),
    st.tuples(st.just("leave"), numbers),
    st.tuples(st.just("take over"), numbers),
    st.tuples(st.just("purge"), numbers),
    st.tuples(st.just("end"), numbers),
)


def chunk(text: str) -> Event:
    return Event(EventKind.CHUNK, raw=text.encode(), text=text)


class Model:
    """The log as it should be, and the clients that follow it."""

    def __init__(self, limit: int, retention: float) -> None:
        self.log = MemoryLog(run_bytes=limit, retention_seconds=retention)
        self.run_id: UUID = new_id()
        self.epoch = 1
        self.events: list[Event] = [Event(EventKind.QUEUED)]
        self.cursors: list[Cursor | None] = [None]
        self.clients: list[ModelClient] = []
        self.purged = False
        self.log.open(self.run_id, 1)

    @property
    def ended(self) -> bool:
        return self.events[-1] is END

    def text(self, seq: int) -> str:
        """The text up to and including event number `seq`."""
        return "".join(event.text for event in self.events[:seq])

    def append(self, events: Sequence[Event]) -> None:
        if self.ended:
            with pytest.raises(Fenced):
                self.log.append(self.run_id, self.epoch, events)
            return
        self.events.extend(events)
        assert self.log.append(self.run_id, self.epoch, events) == len(self.events)

    def take_over(self) -> None:
        """Another writer; the one before it can write no more."""
        if self.purged:  # a finished run is never taken over
            return
        self.epoch += 1
        self.log.open(self.run_id, self.epoch)
        with pytest.raises(Fenced):
            self.log.append(self.run_id, self.epoch - 1, [chunk("from the dead")])

    def come(self, cursor: Cursor | None) -> None:
        reader = self.log.reader(self.run_id, cursor)
        if reader is None:
            assert self.purged
            return
        self.clients.append(ModelClient(self, reader, cursor))

    async def act(self, action: str, argument: Any) -> None:
        match action:
            case "append":
                self.append([chunk(text) for text in argument])
            case "come":
                self.come(self.cursors[argument % len(self.cursors)])
            case "read" if self.clients:
                await self.clients[argument % len(self.clients)].read(timeout=0)
            case "leave" if self.clients:
                self.clients.pop(argument % len(self.clients))
            case "take over":
                self.take_over()
            case "purge":
                self.log.purge()
                self.purged = self.log.reader(self.run_id, None) is None
                assert self.ended or not self.purged
            case "end":
                self.append([END])


class ModelClient:
    """One reader and what its client has been told: checked against the log at every step."""

    def __init__(self, model: Model, reader: MemoryReader, cursor: Cursor | None) -> None:
        self.model, self.reader = model, reader
        self.knows_place = cursor is None or cursor.epoch == model.epoch
        self.seq = cursor.seq if cursor is not None and self.knows_place else 0
        self.told = model.text(self.seq)
        self.ends = int(reader.done)

    async def read(self, timeout: float | None) -> None:
        if self.reader.done:
            assert await self.reader.next(timeout) is None
            return
        update = await self.reader.next(timeout)
        if update is None:
            assert timeout is not None
            assert self.seq == len(self.model.events), "silence while there was something to say"
            return
        if isinstance(update, Snapshot):
            self._take_snapshot(update)
        else:
            self._take_batch(update)
        assert self.reader.cursor == Cursor(self.model.epoch, self.seq)
        self.model.cursors.append(self.reader.cursor)

    def _take_snapshot(self, update: Snapshot) -> None:
        assert update.seq > self.seq or not self.knows_place
        self.seq, self.told, self.knows_place = update.seq, update.text, True
        assert self.told == self.model.text(self.seq)
        assert self.model.events[self.seq - 1] is not END, "the end is never folded into a snapshot"

    def _take_batch(self, update: Batch) -> None:
        assert self.knows_place, "events of a numbering that this client cannot know"
        assert update.first_seq == self.seq + 1
        assert update.events == self.model.events[self.seq : update.last_seq]
        self.seq = update.last_seq
        self.told += "".join(event.text for event in update.events)
        self.ends += sum(event is END for event in update.events)


async def play(model: Model, script: Sequence[tuple[str, Any]]) -> None:
    """Play the script, end the run, and let every reader read to the end without a time limit of its own."""
    model.come(None)
    for action, argument in script:
        await model.act(action, argument)
    if not model.ended:
        model.append([END])
    for client in model.clients:
        for _ in range(len(model.events) + 2):
            await asyncio.wait_for(client.read(timeout=None), PATIENCE)
        assert client.reader.done
        assert client.told == model.text(len(model.events))
        assert client.ends == 1


@unhurried
@given(script=st.lists(actions, max_size=60), limit=st.sampled_from((SMALL, LARGE)))
def test_every_reader_ends_up_with_the_log_whatever_it_does(
    script: list[tuple[str, Any]], limit: int
) -> None:
    asyncio.run(play(Model(limit, LONG), script))


@unhurried
@given(script=st.lists(actions, max_size=60))
def test_a_log_that_is_dropped_at_its_end_still_serves_the_readers_that_it_had(
    script: list[tuple[str, Any]],
) -> None:
    asyncio.run(play(Model(SMALL, 0), script))


async def follow(log: MemoryLog, run_id: UUID, patience: float | None, leave_after: int | None) -> str:
    """A client that waits for every update, and comes back with its cursor when it has left."""
    told, ends, cursor = "", 0, None
    while not ends:
        reader = log.reader(run_id, cursor)
        assert reader is not None
        for step in count():
            if reader.done or step == leave_after:
                break
            update = await reader.next(patience)
            if isinstance(update, Snapshot):
                told = update.text
            elif update is not None:
                told += "".join(event.text for event in update.events)
                ends += sum(event is END for event in update.events)
        cursor = reader.cursor
    assert ends == 1
    return told


async def race(log: MemoryLog, followers: Sequence[Any], bursts: Sequence[tuple[list[str], int]]) -> None:
    """Followers wait and come back while a writer goes on; some are cancelled as connections are."""
    run_id = new_id()
    log.open(run_id, 1)
    tasks: list[asyncio.Task[str]] = []
    cancelled: list[asyncio.Task[str]] = []
    for number, (patience, leave_after, is_cancelled) in enumerate(followers):
        task = asyncio.create_task(follow(log, run_id, patience, leave_after))
        (cancelled if is_cancelled else tasks).append(task)
        for _ in range(number % 3):
            await asyncio.sleep(0)
    written = ""
    for texts, turns in bursts:
        log.append(run_id, 1, [chunk(text) for text in texts])
        written += "".join(texts)
        for _ in range(turns):
            await asyncio.sleep(0)
        if cancelled:
            cancelled.pop().cancel()
    log.append(run_id, 1, [END])
    for task in cancelled:
        task.cancel()
    told = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
    assert set(told) <= {written}


@unhurried
@given(
    followers=st.lists(
        st.tuples(st.sampled_from((None, 0, 0.001)), st.sampled_from((None, 1, 2)), st.booleans()), max_size=6
    ),
    bursts=st.lists(st.tuples(pieces, st.integers(0, 4)), max_size=12),
    limit=st.sampled_from((SMALL, LARGE)),
)
def test_no_follower_waits_for_ever_or_misses_a_word(
    followers: list[Any], bursts: list[tuple[list[str], int]], limit: int
) -> None:
    asyncio.run(race(MemoryLog(run_bytes=limit, retention_seconds=LONG), followers, bursts))


def open_log(events: int, limit: int = LARGE, retained: int = LARGE) -> tuple[MemoryLog, UUID]:
    log, run_id = MemoryLog(run_bytes=limit, retention_seconds=LONG, retained_bytes=retained), new_id()
    log.open(run_id, 1)
    for number in range(events):
        log.append(run_id, 1, [chunk(f"{number},")])
    return log, run_id


def read_once(log: MemoryLog, run_id: UUID, cursor: Cursor | None) -> Batch | Snapshot | None:
    reader = log.reader(run_id, cursor)
    assert reader is not None
    return run(reader.next(0))


def run(coroutine: Coroutine[Any, Any, Batch | Snapshot | None]) -> Batch | Snapshot | None:
    return asyncio.run(coroutine)


def test_a_cursor_beyond_the_log_is_answered_with_a_snapshot() -> None:
    log, run_id = open_log(3)

    assert read_once(log, run_id, Cursor(1, 9)) == Snapshot("0,1,2,", 4, RunStatus.STREAMING)


def test_what_waits_comes_in_batches_of_a_bounded_size() -> None:
    log, run_id = open_log(MOST_EVENTS_IN_A_BATCH + 5)

    first = read_once(log, run_id, None)

    assert isinstance(first, Batch)
    assert len(first.events) == MOST_EVENTS_IN_A_BATCH
    rest = read_once(log, run_id, Cursor(1, first.last_seq))
    assert isinstance(rest, Batch)
    assert len(rest.events) == 6


def test_an_event_larger_than_the_limit_is_still_told_to_those_who_listen() -> None:
    log, run_id = open_log(0, limit=SMALL)
    reader = log.reader(run_id, Cursor(1, 1))
    assert reader is not None
    large = chunk("x" * (SMALL * 3))
    log.append(run_id, 1, [large])

    assert run(reader.next(0)) == Batch(2, [large])


def test_of_finished_logs_the_oldest_go_first_when_they_take_too_much_room() -> None:
    log, oldest = open_log(0, retained=EVENT_OVERHEAD * 5)
    others = [new_id() for _ in range(3)]
    for run_id in (oldest, *others):
        log.open(run_id, 1)
        log.append(run_id, 1, [END])

    log.purge()

    kept = [run_id for run_id in (oldest, *others) if log.reader(run_id, None) is not None]
    assert kept == others[1:]
