"""Windows: however a list is walked, each item comes once, in order, and what lies beyond is told."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session

from core.context import Context, Services
from core.db.keyset import Slice, Window
from core.db.messages import append_message
from core.db.migrate import migrate
from core.db.models import MessageRow, ThreadRow
from core.db.records import Message, Thread, User
from core.errors import InvalidInput, NotAllowed
from core.resolvers.messages import slice_messages
from core.resolvers.threads import (
    ThreadKey,
    Which,
    create_thread,
    delete_thread,
    list_threads,
    slice_threads,
    threads_by_id,
)
from core.resolvers.users import list_users
from tests.core.parts import new_caller, open_services
from tests.postgresql import migrated

Read = Callable[[Window[Any]], Awaitable[Slice[Any]]]

# One database serves all examples: each has an owner of its own.
on_one_database = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sizes = st.lists(st.integers(1, 7), min_size=1, max_size=4)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with migrated(request.param, tmp_path_factory.mktemp("windows")) as found:
        yield found


@pytest.fixture
async def services(url: str, tmp_path: Path) -> AsyncIterator[Services]:
    async with open_services(url, tmp_path) as parts:
        yield parts


async def assert_walks(read: Read, key: Callable[[Any], Any], whole: Sequence[Any], steps: list[int]) -> None:
    """The list, walked by pages of these sizes over and over, forward and backward."""
    for forward in (True, False):
        walked: list[Any] = []
        place = None
        while True:
            size = steps[len(walked) % len(steps)]
            window = Window[Any](first=size, after=place) if forward else Window[Any](last=size, before=place)
            part = await read(window)
            walked = [*walked, *part.items] if forward else [*part.items, *walked]
            rest = len(walked) < len(whole)
            begun = place is not None
            assert (part.has_next, part.has_previous) == ((rest, begun) if forward else (begun, rest))
            assert len(part.items) == size or not rest
            if not rest:
                break
            place = key(part.items[-1 if forward else 0])
        assert walked == list(whole)


async def assert_slice(
    read: Read, key: Callable[[Any], Any], whole: Sequence[Any], window: Window[int]
) -> None:
    """A window whose places are indexes of the list gives what slicing the list gives."""
    start = 0 if window.after is None else window.after + 1
    end = len(whole) if window.before is None else window.before
    between = list(whole[start:end]) if start < end else []
    expected = between[: window.size] if window.is_forward else between[-window.size :]
    cut = len(expected) < len(between)
    part = await read(window.by(lambda index: key(whole[index])))
    assert list(part.items) == expected
    assert part.has_next == (window.before is not None or (cut and window.is_forward))
    assert part.has_previous == (window.after is not None or (cut and not window.is_forward))


def windows(length: int) -> st.SearchStrategy[Window[int]]:
    places = st.none() | st.integers(0, length - 1) if length else st.none()
    size = st.integers(1, 12)
    forward = st.builds(lambda n, a, b: Window(first=n, after=a, before=b), size, places, places)
    backward = st.builds(lambda n, a, b: Window(last=n, after=a, before=b), size, places, places)
    return forward | backward


async def threads_of(ctx: Context, count: int, instants: int) -> list[Thread]:
    """This many threads, newest first, that share few instants of creation."""
    made = [await create_thread(ctx, title=str(number)) for number in range(count)]

    def crowd(session: Session) -> None:
        for number, thread in enumerate(made):
            moment = made[number % instants].created_at
            session.execute(update(ThreadRow).where(ThreadRow.id == thread.id).values(created_at=moment))

    await ctx.db.write(crowd)
    found = (await threads_by_id(ctx, [thread.id for thread in made])).values()
    return sorted(found, key=lambda thread: (thread.created_at, thread.id), reverse=True)


def thread_key(thread: Thread) -> ThreadKey:
    return ThreadKey(thread.created_at, thread.id)


@on_one_database
@given(count=st.integers(0, 12), instants=st.integers(1, 3), steps=sizes, data=st.data())
async def test_threads_are_walked_newest_first_even_if_made_at_the_same_instant(
    services: Services, count: int, instants: int, steps: list[int], data: st.DataObject
) -> None:
    ctx = await new_caller(services)
    whole = await threads_of(ctx, count, instants)

    async def read(window: Window[ThreadKey]) -> Slice[Thread]:
        return await slice_threads(ctx, window, Which.ALL)

    await assert_walks(read, thread_key, whole, steps)
    await assert_slice(read, thread_key, whole, data.draw(windows(count)))


@on_one_database
@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=3), steps=sizes, data=st.data())
async def test_messages_of_several_threads_are_walked_newest_first(
    services: Services, counts: list[int], steps: list[int], data: st.DataObject
) -> None:
    ctx = await new_caller(services)
    threads = [await thread_with(ctx, count) for count in counts]
    for thread in threads:
        whole = (await slice_messages(ctx, [(thread, Window(first=100))]))[0].items
        assert [message.position for message in whole] == list(range(thread.message_count, 0, -1))

        async def read(window: Window[int], thread: Thread = thread) -> Slice[Message]:
            return (await slice_messages(ctx, [(thread, window)]))[0]

        await assert_walks(read, lambda message: message.position, whole, steps)
        await assert_slice(
            read, lambda message: message.position, whole, data.draw(windows(thread.message_count))
        )
    asked = [(thread, data.draw(st.builds(Window[int], first=st.integers(1, 5)))) for thread in threads]
    together = await slice_messages(ctx, asked)
    assert together == [(await slice_messages(ctx, [one]))[0] for one in asked]


@on_one_database
@given(position=st.integers(-(10**30), 10**30), count=st.integers(0, 5))
async def test_positions_that_no_message_has_are_places_all_the_same(
    services: Services, position: int, count: int
) -> None:
    ctx = await new_caller(services)
    thread = await thread_with(ctx, count)
    after, before = await slice_messages(
        ctx, [(thread, Window(after=position)), (thread, Window(before=position))]
    )
    positions = range(count, 0, -1)
    assert [item.position for item in after.items] == [place for place in positions if place < position]
    assert [item.position for item in before.items] == [place for place in positions if place > position]
    assert after.has_previous == (count > 0 and position <= count)
    assert before.has_next == (count > 0 and position >= 1)


async def thread_with(ctx: Context, count: int) -> Thread:
    thread_id = (await create_thread(ctx)).id
    await fill(ctx, thread_id, count)
    return (await threads_by_id(ctx, [thread_id]))[thread_id]


async def fill(ctx: Context, thread_id: UUID, count: int) -> None:
    """Append this many messages."""

    def work(session: Session) -> None:
        thread = session.get_one(ThreadRow, thread_id, with_for_update=True)
        for _ in range(count):
            message = MessageRow(sender_id="x", sender_type="user", status="ready", text="Hi")
            append_message(session, thread, message)

    await ctx.db.write(work)


@pytest.fixture
async def twelve_users(tmp_path: Path) -> AsyncIterator[Context]:
    """An administrator, and eleven others on the same database."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    migrate(url)
    async with open_services(url, tmp_path) as parts:
        for number in range(11):
            await new_caller(parts, username=f"user {number}")
        yield await new_caller(parts, username="user 1.5", roles=["admin"])


@on_one_database
@given(steps=sizes, data=st.data())
async def test_users_are_walked_by_name(twelve_users: Context, steps: list[int], data: st.DataObject) -> None:
    everybody = await list_users(twelve_users, Window(first=100), with_total=True)
    whole = everybody.items
    assert [user.username for user in whole] == sorted(user.username for user in whole)
    assert everybody.total == len(whole) == 12

    async def read(window: Window[str]) -> Slice[User]:
        return await list_users(twelve_users, window)

    await assert_walks(read, lambda user: user.username, whole, steps)
    await assert_slice(read, lambda user: user.username, whole, data.draw(windows(len(whole))))


@pytest.mark.parametrize(
    ("window", "count", "has_next", "has_previous"),
    [
        (Window(after=""), 12, False, False),
        (Window(after="zzz"), 0, False, True),
        (Window(before=""), 0, True, False),
        (Window(before="zzz"), 12, False, False),
        (Window(last=3, before="zzz"), 3, False, True),
        (Window(first=3, after=""), 3, True, False),
        (Window(after="user 10.5", before="user 5.5"), 4, True, True),
        (Window(after="zzz", before=""), 0, True, True),
    ],
)
async def test_a_place_between_or_beyond_all_items_is_one_all_the_same(
    twelve_users: Context, window: Window[str], count: int, *, has_next: bool, has_previous: bool
) -> None:
    part = await list_users(twelve_users, window)
    assert (len(part.items), part.has_next, part.has_previous) == (count, has_next, has_previous)


@pytest.mark.parametrize("size", [0, -1, 101, 10**30])
@pytest.mark.parametrize("field", ["first", "last"])
def test_a_size_out_of_range_is_told_by_its_field(field: str, size: int) -> None:
    with pytest.raises(InvalidInput, match=f"^{field} must be between 1 and 100$") as caught:
        Window[int](**{field: size})
    assert caught.value.field == field


def test_first_and_last_together_are_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        Window[int](first=1, last=1)
    assert caught.value.field == "last"


async def test_twenty_come_if_nothing_is_said(services: Services) -> None:
    ctx = await new_caller(services)
    part = (await slice_messages(ctx, [(await thread_with(ctx, 25), Window())]))[0]
    assert [item.position for item in part.items] == list(range(25, 5, -1))
    assert (part.has_next, part.has_previous, part.total) == (True, False, 25)


async def test_a_slice_of_threads_shows_what_a_page_shows_and_counts_it(services: Services) -> None:
    owner = await new_caller(services)
    made = [await create_thread(owner, title="t", metadata={"product": product}) for product in "pqp"]
    for thread in made:
        await fill(owner, thread.id, 1)
    await delete_thread(owner, made[2].id)
    await create_thread(owner, metadata={"product": "p"})
    limited = services.context(replace(owner.user, allowed_products=("p",)))
    for ctx in (owner, limited):
        for which in (Which.ALL, Which.LISTED):
            page = await list_threads(ctx, include_deleted=which is Which.ALL)
            part = await slice_threads(ctx, Window(), which, with_total=True)
            assert (part.items, part.total) == (page.items, page.total)
    assert len((await slice_threads(limited, Window())).items) == 1


async def test_deleted_threads_can_be_listed_alone(services: Services) -> None:
    owner = await new_caller(services)
    made = [await create_thread(owner, title="t", metadata={"product": product}) for product in "pqp"]
    for thread in made[:2]:
        await delete_thread(owner, thread.id)
    limited = services.context(replace(owner.user, allowed_products=("p",)))
    for ctx, expected in ((owner, [made[1].id, made[0].id]), (limited, [made[0].id])):
        part = await slice_threads(ctx, Window(), Which.DELETED, with_total=True)
        assert ([thread.id for thread in part.items], part.total) == (expected, len(expected))


async def test_only_administrators_list_users(services: Services) -> None:
    with pytest.raises(NotAllowed):
        await list_users(await new_caller(services), Window())
