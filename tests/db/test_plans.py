"""Every list has an index that serves its order: a page reads a page, not the table."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from core.context import Context
from core.db.keyset import Window
from core.db.migrate import migrate
from core.resolvers import changes, messages, threads, users
from tests.core.parts import new_caller, open_services
from tests.core.plans import explained


@pytest.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[Context]:
    """A signed-in administrator on a database of their own, without any server."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    migrate(url)
    async with open_services(url, tmp_path) as services:
        yield await new_caller(services, roles=["admin"])


@pytest.fixture
def plans() -> Iterator[list[str]]:
    """The query plan of every SELECT that runs meanwhile."""
    with explained() as steps:
        yield steps


def assert_no_scan(plans: list[str]) -> None:
    assert plans
    slow = [step for step in plans if step.startswith("SCAN") or "TEMP B-TREE" in step]
    assert slow == [], plans


async def test_a_page_of_threads_reads_its_index(ctx: Context, plans: list[str]) -> None:
    for number in range(3):
        await threads.create_thread(ctx, title=str(number))
    plans.clear()
    assert (await threads.list_threads(ctx, include_deleted=True)).total == 3
    assert_no_scan(plans)
    plans.clear()
    await threads.list_threads(ctx)
    await threads.list_threads(ctx, page=2, limit=1, include_deleted=True)
    assert_no_scan(plans)


def windows(key: Any) -> list[Window[Any]]:
    """From either end, and from the place of `key` in either direction."""
    sizes: list[dict[str, Any]] = [{}, {"first": 1}, {"last": 1}]
    places: list[dict[str, Any]] = [{}, {"after": key}, {"before": key}]
    return [Window(**size, **place) for size in sizes for place in places]


@pytest.mark.parametrize("which", threads.Which)
async def test_a_slice_of_threads_reads_its_index_from_either_end_and_from_the_middle(
    ctx: Context, plans: list[str], which: threads.Which
) -> None:
    made = [await threads.create_thread(ctx, title=str(number)) for number in range(3)]
    key = threads.ThreadKey(made[1].created_at, made[1].id)
    for window in windows(key):
        plans.clear()
        await threads.slice_threads(ctx, window, which, with_total=True)
        assert_no_scan(plans)


async def test_a_slice_of_users_reads_its_index(ctx: Context, plans: list[str]) -> None:
    for window in windows("m"):
        plans.clear()
        await users.list_users(ctx, window)
        # Without any condition, to walk an index from its end is called a scan of it.
        assert not [step for step in plans if "TEMP B-TREE" in step]
        assert all("USING INDEX" in step or "USING COVERING INDEX" in step for step in plans), plans


async def test_the_change_feed_reads_its_index(ctx: Context, plans: list[str]) -> None:
    cursor = await changes.threads_cursor(ctx)
    for _ in range(3):
        await threads.create_thread(ctx)
    plans.clear()
    feed = changes.follow_threads(ctx, cursor)
    assert len(await anext(feed)) == 3
    await feed.aclose()
    assert any("ix_threads_owner_change (owner_id=? AND change_seq>?)" in step for step in plans)
    assert_no_scan(plans)


async def test_slices_of_many_threads_messages_read_ranges_of_their_index(
    ctx: Context, plans: list[str], tmp_path: Path
) -> None:
    made = [await threads.create_thread(ctx) for _ in range(3)]
    for thread in made:
        fill(tmp_path / "app.db", thread.id.hex, 200)
    filled = (await threads.threads_by_id(ctx, [thread.id for thread in made])).values()
    plans.clear()
    slices = await messages.slice_messages(ctx, [(thread, Window(5, after=150)) for thread in filled])
    assert [[item.text for item in part.items] for part in slices] == [
        [str(number) for number in range(149, 144, -1)]
    ] * 3
    assert_no_scan([step for step in plans if step not in ("SCAN ranges", "SCAN 4 CONSTANT ROWS")])
    assert any("(thread_id=? AND position>? AND position<?)" in step for step in plans), plans


async def test_a_page_of_messages_reads_its_index_at_any_depth(
    ctx: Context, plans: list[str], tmp_path: Path
) -> None:
    thread = await threads.create_thread(ctx)
    fill(tmp_path / "app.db", thread.id.hex, 500)
    plans.clear()
    page = await messages.list_messages(ctx, thread.id, page=20, limit=20)
    assert [item.text for item in page.items] == [str(number) for number in range(120, 100, -1)]
    await threads.get_thread(ctx, thread.id)
    assert_no_scan(plans)


def fill(database: Path, thread_id: str, count: int) -> None:
    """Messages 1 to `count`, written past the product."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        for number in range(1, count + 1):
            connection.execute(
                text(
                    "INSERT INTO messages (id, thread_id, position, sender_id, sender_type, status, text,"
                    " metadata, created_at, updated_at) VALUES (lower(hex(randomblob(16))), :thread, :number,"
                    " 'x', 'user', 'ready', :number, '{}', '2026-01-01', '2026-01-01')"
                ),
                {"thread": thread_id, "number": number},
            )
        connection.execute(
            text("UPDATE threads SET message_count = :count WHERE id = :thread"),
            {"thread": thread_id, "count": count},
        )
    engine.dispose()
