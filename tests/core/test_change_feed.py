"""The change feed: whoever was away learns what has changed, each thread once, and then follows live."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.context import Context, Services
from core.db.changes import touch
from core.db.models import ThreadRow
from core.db.records import Thread
from core.db.session import Database
from core.errors import CursorInvalid
from core.resolvers.changes import CaughtUp, ThreadChange, follow_threads, threads_cursor
from core.resolvers.threads import create_thread, delete_thread, threads_by_id, update_thread
from tests.core.feeds import PATIENCE, changed, live, missed, number
from tests.core.parts import new_caller, open_services
from tests.postgresql import migrated


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with migrated(request.param, tmp_path_factory.mktemp("feed")) as found:
        yield found


@pytest.fixture
async def services(url: str, tmp_path: Path) -> AsyncIterator[Services]:
    # A net as coarse as this shows that it is the signals that wake.
    async with open_services(url, tmp_path, heartbeat_seconds=3600) as parts:
        yield parts


async def test_a_client_that_was_away_is_told_each_changed_thread_once_oldest_change_first(
    ctx: Context,
) -> None:
    first, second, third = [await create_thread(ctx, title=title) for title in "abc"]
    cursor = await threads_cursor(ctx)
    await update_thread(ctx, third.id, title="C")
    await update_thread(ctx, first.id, title="A")
    await update_thread(ctx, third.id, summary="Twice")
    fourth = await create_thread(ctx)

    told = await missed(ctx, cursor)

    assert changed(told) == [first.id, third.id, fourth.id]
    truth = await threads_by_id(ctx, [first.id, second.id, third.id, fourth.id])
    assert all(item.thread == truth[item.thread_id] for item in told if isinstance(item, ThreadChange))
    assert await missed(ctx, told[-1].cursor) == [told[-1]]
    assert await missed(ctx, told[0].cursor) == told[1:]


async def test_without_a_cursor_only_what_comes_is_told(ctx: Context) -> None:
    await create_thread(ctx)
    async with aclosing(follow_threads(ctx)) as feed:
        assert await live(feed) == [CaughtUp(await threads_cursor(ctx))]
        thread = await create_thread(ctx)
        assert await live(feed) == [ThreadChange(await threads_cursor(ctx), thread.id, thread)]


async def test_a_long_absence_is_told_in_batches(ctx: Context) -> None:
    cursor = await threads_cursor(ctx)
    made = [(await create_thread(ctx)).id for _ in range(250)]
    sizes = []
    async with aclosing(follow_threads(ctx, cursor)) as feed:
        while len(items := await live(feed)) > 1:
            sizes.append(len(items))
    assert sizes == [100, 100, 50]
    assert changed(await missed(ctx, cursor)) == made


async def test_a_waiting_follower_is_woken_and_changes_meanwhile_are_told_as_one(ctx: Context) -> None:
    thread = await create_thread(ctx)
    async with aclosing(follow_threads(ctx)) as feed:
        await live(feed)
        waiting = asyncio.create_task(live(feed))
        for _ in range(3):
            await ctx.db.ping()
        assert not waiting.done()
        await update_thread(ctx, thread.id, title="1")
        assert changed(await waiting) == [thread.id]

        for number in "234":
            newest = await update_thread(ctx, thread.id, title=number)
        (item,) = await live(feed)
        assert item == ThreadChange(await threads_cursor(ctx), thread.id, newest)


async def test_a_change_between_two_looks_is_not_lost(ctx: Context) -> None:
    """It is committed after the follower has read and before it waits."""
    async with aclosing(follow_threads(ctx, await threads_cursor(ctx))) as feed:
        assert isinstance((await live(feed))[0], CaughtUp)
        thread = await create_thread(ctx)
        assert changed(await live(feed)) == [thread.id]


async def test_deletion_and_restoration_are_told(ctx: Context) -> None:
    thread = await create_thread(ctx)
    cursor = await threads_cursor(ctx)
    await delete_thread(ctx, thread.id)
    gone, _ = await missed(ctx, cursor)
    assert gone == ThreadChange(await threads_cursor(ctx), thread.id, None)
    back = await update_thread(ctx, thread.id, is_deleted=False)
    restored, _ = await missed(ctx, gone.cursor)
    assert restored == ThreadChange(await threads_cursor(ctx), thread.id, back)


async def test_a_thread_outside_the_allow_lists_is_told_as_gone(ctx: Context, services: Services) -> None:
    cursor = await threads_cursor(ctx)
    inside, outside = [await create_thread(ctx, metadata={"product": product}) for product in "pq"]
    limited = services.context(replace(ctx.user, allowed_products=("p",)))
    told = {
        item.thread_id: item.thread
        for item in await missed(limited, cursor)
        if isinstance(item, ThreadChange)
    }
    assert told == {inside.id: inside, outside.id: None}


async def test_others_threads_are_never_told(ctx: Context, stranger: Context) -> None:
    cursor = await threads_cursor(ctx)
    async with aclosing(follow_threads(ctx)) as feed:
        await live(feed)
        await create_thread(stranger)
        own = await create_thread(ctx)
        assert changed(await live(feed)) == [own.id]
    assert changed(await missed(ctx, cursor)) == [own.id]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "nonsense",
        "{tag}",
        "{tag}-",
        "{tag}{seq}",
        "{tag}-{seq}x",
        " {tag}-{seq}",
        "{tag}--{seq}",
        "{tag}-{seq}000000000000000000000000000000",
        "{tag}-\N{ARABIC-INDIC DIGIT ONE}",
        "00000000-{seq}",
        "{tag}-{future}",
    ],
)
async def test_a_cursor_that_is_none_is_refused_before_anything_is_told(ctx: Context, pattern: str) -> None:
    await create_thread(ctx)
    tag, _, seq = (await threads_cursor(ctx)).partition("-")
    with pytest.raises(CursorInvalid):
        await anext(follow_threads(ctx, pattern.format(tag=tag, seq=seq, future=int(seq) + 1)))


async def test_the_cursor_of_another_owner_is_refused(ctx: Context, stranger: Context) -> None:
    with pytest.raises(CursorInvalid):
        await anext(follow_threads(stranger, await threads_cursor(ctx)))


async def test_a_lost_signal_delays_the_news_until_the_next_look(url: str, tmp_path: Path) -> None:
    async with open_services(url, tmp_path, heartbeat_seconds=0.01) as services:
        ctx = await new_caller(services)
        thread = await create_thread(ctx)
        async with aclosing(follow_threads(ctx)) as feed:
            await live(feed)
            with closing(Database(url)) as other_process:
                await other_process.write(
                    lambda session: touch(
                        session, session.get_one(ThreadRow, thread.id, with_for_update=True)
                    )
                )
            assert changed(await live(feed)) == [thread.id]


async def test_changes_at_the_same_moment_are_all_told_in_the_order_of_their_numbers(ctx: Context) -> None:
    made = [(await create_thread(ctx)).id for _ in range(8)]
    replica: dict[UUID, Thread | None] = {}
    numbers: list[int] = []

    async def follow() -> None:
        async with aclosing(follow_threads(ctx)) as feed:
            ready.set()
            async for items in feed:
                for item in items:
                    numbers.append(number(item.cursor))
                    if isinstance(item, ThreadChange):
                        replica[item.thread_id] = item.thread
                if all(replica.get(id_) and replica[id_].title == "done" for id_ in made):  # type: ignore[union-attr]
                    return

    async def change(thread_id: UUID) -> None:
        for title in ("1", "2", "3", "done"):
            # Two of one owner change one after the other in all orders, with what they share besides.
            await update_thread(ctx, thread_id, title=title, metadata={"product": title})

    ready = asyncio.Event()
    follower = asyncio.create_task(follow())
    await ready.wait()
    await asyncio.gather(*map(change, made))
    await asyncio.wait_for(follower, PATIENCE)
    assert numbers == sorted(set(numbers))
    assert replica == await threads_by_id(ctx, made)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["create", "change", "delete", "restore", "look"]), st.integers(0, 5)),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
async def test_a_client_that_comes_and_goes_knows_what_there_is(
    services: Services, operations: list[tuple[str, int]]
) -> None:
    ctx = await new_caller(services)
    cursor = await threads_cursor(ctx)
    made: list[UUID] = []
    replica: dict[UUID, Thread] = {}

    async def look() -> None:
        nonlocal cursor
        told = await missed(ctx, cursor)
        assert len(set(changed(told))) == len(told) - 1
        for item in told:
            cursor = item.cursor
            if isinstance(item, ThreadChange):
                replica.pop(item.thread_id, None)
                if item.thread is not None:
                    replica[item.thread_id] = item.thread
        assert replica == await threads_by_id(ctx, made)

    for operation, place in operations:
        if operation == "create":
            made.append((await create_thread(ctx)).id)
        elif operation == "look":
            await look()
        elif made:
            await update_thread(
                ctx,
                made[place % len(made)],
                title=operation,
                is_deleted={"delete": True, "restore": False}.get(operation),
            )
    await look()
