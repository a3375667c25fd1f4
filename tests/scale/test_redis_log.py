"""The shared event log on a real Valkey: whatever is lost on the way, every reader ends up with the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio.client import Pipeline, PubSub

from core.broker.broker import Broker, Subscriber
from core.db.models import now
from core.db.records import Run, RunStatus
from core.ids import new_id
from core.runs import redis_writer
from core.runs.events import Batch, Cursor, Event, EventKind, RunEnd, Snapshot
from core.runs.log import Fenced, Reader
from core.runs.memory_log import MemoryLog
from core.runs.redis_log import RedisLog
from core.runs.redis_scripts import keys
from tests.valkey import ValkeyProcess, valkey

PATIENCE = 30.0
END = Event(EventKind.END, end=RunEnd(RunStatus.COMPLETED))
SMALL = 65536


@pytest.fixture(scope="module")
def broker() -> Iterator[ValkeyProcess]:
    with valkey() as server:
        yield server


@asynccontextmanager
async def logs(url: str, count: int = 2, run_bytes: int = 2**20) -> AsyncIterator[list[RedisLog]]:
    """The logs of so many processes."""
    brokers = [Broker(url) for _ in range(count)]
    for each in brokers:
        await each.start()
    made = [RedisLog(each, run_bytes=run_bytes, retention_seconds=60) for each in brokers]
    try:
        yield made
    finally:
        for log in made:
            await log.close()
        for each in brokers:
            await each.close()


def a_run() -> Run:
    return Run(
        id=new_id(),
        thread_id=new_id(),
        owner_id=new_id(),
        user_message_id=new_id(),
        assistant_message_id=None,
        status=RunStatus.RUNNING,
        model="m",
        model_label=None,
        is_secret=False,
        epoch=1,
        lease_owner=None,
        last_seq=0,
        error_code=None,
        error=None,
        prompt_tokens=None,
        completion_tokens=None,
        created_at=now(),
        started_at=None,
        first_token_at=None,
        finished_at=None,
    )


def chunk(text: str) -> Event:
    return Event(EventKind.CHUNK, raw=b'{"text":"%s"}' % text.encode(), text=text)


def begun(log: RedisLog, run: Run) -> None:
    log.open(run.id, run.epoch)
    log.append(run.id, run.epoch, [Event(EventKind.RUNNING)])


class Seen:
    """What a reader was told; checks that numbers are dense."""

    def __init__(self) -> None:
        self.text, self.ends, self.last_seq = "", 0, 0

    def take(self, update: Batch | Snapshot) -> None:
        if isinstance(update, Snapshot):
            self.text, self.last_seq = update.text, update.seq
            return
        assert update.first_seq == self.last_seq + 1
        self.last_seq = update.last_seq
        self.text += "".join(event.text for event in update.events)
        self.ends += sum(event.end is not None for event in update.events)

    async def follow(self, reader: Reader | None, updates: int | None = None) -> None:
        """Read to the end, or so many updates."""
        assert reader is not None
        while not reader.done and updates != 0:
            update = await asyncio.wait_for(reader.next(5), PATIENCE)
            if update is not None:
                self.take(update)
                updates = updates - 1 if updates is not None else None


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - what it waits for is another process
            await asyncio.sleep(0.01)


READERS = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=4), min_size=1, max_size=4
)
BURSTS = st.lists(st.lists(st.text("abcdefgh ", max_size=300), min_size=1, max_size=30), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(READERS, BURSTS, st.integers(0, 12), st.sampled_from([SMALL, 2**20]))
def test_every_reader_ends_up_with_the_log_wherever_it_reads(
    broker: ValkeyProcess,
    readers: list[list[tuple[int, int]]],
    bursts: list[list[str]],
    lost_at: int,
    limit: int,
) -> None:
    """Each reader reads a few updates on one process, then goes on at another; once, everything is lost."""

    async def story() -> None:
        async with logs(broker.url, 3, limit) as (writer, *others):
            processes, run = [writer, *others], a_run()
            begun(writer, run)

            async def read(moves: list[tuple[int, int]]) -> Seen:
                seen = Seen()
                for place, updates in moves:
                    cursor = Cursor(1, seen.last_seq) if seen.last_seq else None
                    await seen.follow(await processes[place].open_reader(run, cursor), updates)
                if not seen.ends:
                    cursor = Cursor(1, seen.last_seq) if seen.last_seq else None
                    await seen.follow(await processes[-1].open_reader(run, cursor))
                return seen

            reading = [asyncio.create_task(read(moves)) for moves in readers]
            with broker.client() as client:
                for number, burst in enumerate(bursts):
                    if number == lost_at:
                        client.flushall()
                        client.client_kill_filter(skipme=True)
                    writer.append(run.id, 1, [chunk(text) for text in burst])
                    await asyncio.sleep(0)
            writer.append(run.id, 1, [END])
            stories = await asyncio.gather(*reading)
        text = "".join(text for burst in bursts for text in burst)
        assert [(seen.text, seen.ends) for seen in stories] == [(text, 1)] * len(readers)

    asyncio.run(story())


async def test_the_first_text_of_a_run_waits_for_nothing(
    broker: ValkeyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_writer, "BATCH_SECONDS", 10 * PATIENCE)
    own, memory, run = Broker(broker.url), MemoryLog(run_bytes=SMALL, retention_seconds=60), a_run()
    await own.start()
    writer = redis_writer.RedisWriter(own, run_bytes=SMALL, fenced=lambda _: None)
    memory.open(run.id, 1)
    log = memory.find(run.id)
    assert log is not None

    async def is_settled() -> bool:
        return writer._written[run.id].acknowledged == log.last_seq  # noqa: SLF001

    for events in ([Event(EventKind.RUNNING)], [chunk("Some")]):
        memory.append(run.id, 1, events)
        writer.push(run.id, log, events)
        await until(is_settled)
    await writer.close()
    await own.close()


async def test_what_is_on_its_way_when_the_log_closes_arrives(
    broker: ValkeyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, stuck = Pipeline.execute, asyncio.Event()

    async def sticking(pipeline: Pipeline, *arguments: Any, **named: Any) -> Any:
        if not stuck.is_set():
            stuck.set()
            await asyncio.Event().wait()
        return await execute(pipeline, *arguments, **named)

    run, seen = a_run(), Seen()
    async with logs(broker.url) as (left, other):
        begun(left, run)
        await seen.follow(await other.open_reader(run, None), 1)
        monkeypatch.setattr(Pipeline, "execute", sticking)
        left.append(run.id, 1, [chunk("All of it"), END])
        async with asyncio.timeout(PATIENCE):
            await stuck.wait()
        await left.close()
        await seen.follow(await other.open_reader(run, Cursor(1, seen.last_seq)))
    assert (seen.text, seen.ends) == ("All of it", 1)


async def test_a_broker_closes_though_a_cancellation_is_lost(
    broker: ValkeyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_message, lost = PubSub.get_message, asyncio.Event()

    async def losing(pubsub: PubSub, *arguments: Any, **named: Any) -> Any:
        try:
            return await get_message(pubsub, *arguments, **named)
        except asyncio.CancelledError:
            if lost.is_set():
                raise
            lost.set()

    monkeypatch.setattr(PubSub, "get_message", losing)
    own = Broker(broker.url)
    await own.start()
    heard = asyncio.Event()
    own.subscribe("begun", Subscriber(lambda _: None, heard.set))
    async with asyncio.timeout(PATIENCE):
        await heard.wait()
        await own.close()
    assert lost.is_set()


async def test_a_writer_that_was_given_up_is_fenced_off_and_its_readers_are_told_what_counts(
    broker: ValkeyProcess,
) -> None:
    async with logs(broker.url) as (slept, awake):
        run, failed = a_run(), RunEnd(RunStatus.FAILED, "SERVER_STOPPED", "It stopped")
        begun(slept, run)
        slept.append(run.id, 1, [chunk("stored ")])
        here, there = Seen(), Seen()
        reader = await slept.open_reader(run, None)
        await there.follow(await awake.open_reader(run, None), 1)
        awake.tell_end(run.id, 2, failed)
        await there.follow(await awake.open_reader(run, Cursor(1, there.last_seq)))
        slept.append(run.id, 1, [chunk("too late")])
        await here.follow(reader)
        with pytest.raises(Fenced):
            slept.append(run.id, 1, [chunk("still there")])

    assert (there.text, there.ends) == ("stored ", 1)
    assert (here.text, here.ends) == ("stored ", 1)


async def test_what_is_kept_is_bounded_and_a_late_reader_gets_a_text_in_place_of_it(
    broker: ValkeyProcess,
) -> None:
    async with logs(broker.url, run_bytes=SMALL) as (writer, other):
        run = a_run()
        begun(writer, run)
        words = [f"{number} " + "x" * 150 for number in range(4000)]
        with broker.client() as client:
            for start in range(0, len(words), 50):
                writer.append(run.id, 1, [chunk(word) for word in words[start : start + 50]])
                await until(lambda: holds(client, run, "seq", start + 52))  # noqa: B023
            await until(lambda: is_small(client, run))
            seen = Seen()
            reader = await other.open_reader(run, Cursor(1, 1))
            await seen.follow(reader, 1)
            writer.append(run.id, 1, [END])
            await seen.follow(reader)
            assert client.pttl(keys(run.id)[0]) > 0

    assert (seen.text, seen.ends) == ("".join(words), 1)


async def holds(client: Any, run: Run, field: str, value: int) -> bool:
    """Whether Redis has this of the run, or more."""
    return int(client.hget(keys(run.id)[1], field) or 0) >= value


async def is_small(client: Any, run: Run) -> bool:
    return int(client.memory_usage(keys(run.id)[0]) or 0) < 2 * SMALL


async def test_events_take_little_more_than_their_bytes(broker: ValkeyProcess) -> None:
    async with logs(broker.url, 1, 2**26) as (writer,):
        run = a_run()
        begun(writer, run)
        events = [padded_chunk(number) for number in range(60)]
        with broker.client() as client:
            for number, event in enumerate(events):  # one at a time, as slow models send them
                writer.append(run.id, 1, [event])
                await until(lambda: holds(client, run, "seq", number + 3))  # noqa: B023
            taken = client.memory_usage(keys(run.id)[0])

    assert taken <= 1.6 * sum(len(event.raw) for event in events)


def padded_chunk(number: int) -> Event:
    return Event(EventKind.CHUNK, raw=b'{"n":%06d,' % number + b"x" * 190, text="word ")


async def test_a_finished_run_is_dropped_everywhere_after_a_while(broker: ValkeyProcess) -> None:
    async with logs(broker.url) as (writer, other):
        run = a_run()
        begun(writer, run)
        writer.append(run.id, 1, [END])
        await Seen().follow(await other.open_reader(run, None))
        writer._memory._retention = 0  # noqa: SLF001
        writer.purge()
        with broker.client() as client:

            async def is_gone() -> bool:
                return not client.exists(*keys(run.id))

            await until(is_gone)
        late = await other.open_reader(replace(a_run(), status=RunStatus.COMPLETED), None)

    assert late is None
