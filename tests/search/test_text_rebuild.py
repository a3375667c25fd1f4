"""The trigram index is made anew, part by part, on both databases, and answers all the while."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.context import Context
from core.resolvers import messages, threads
from core.search.entries import index_texts
from core.search.literals import Literal
from core.search.scope import SearchScope, owner_numbers, read_texts
from core.search.text_rebuild import begin_rebuild, is_rebuilding, rebuild_some
from core.search.trigrams import candidates, rebuilt_until
from tests.core.parts import new_caller, open_services
from tests.postgresql import migrated
from tests.search.texts import add_texts


@pytest.fixture(params=["sqlite", "postgresql"])
async def ctx(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Context]:
    """A caller on each of the databases."""
    with migrated(request.param, tmp_path) as url:
        async with open_services(url, tmp_path) as services:
            yield await new_caller(services)


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows a part, and one page a part of what is cleared away."""
    monkeypatch.setattr("core.search.text_rebuild.MOST_ROWS", 2)
    monkeypatch.setattr("core.search.text_rebuild._MOST_PAGES", 1)


async def write(ctx: Context, *texts: str) -> UUID:
    """A thread with messages of these texts, which are indexed."""
    thread = await threads.create_thread(ctx)
    await add_texts(ctx, thread.id, texts)
    while await ctx.db.write(index_texts):
        pass
    return thread.id


async def rebuild(ctx: Context) -> int:
    """Go on until nothing is left; in how many parts."""
    parts = 0
    while await ctx.db.write(rebuild_some):
        parts += 1
    assert not await ctx.db.read(is_rebuilding)
    return parts


async def named(ctx: Context, literal: str) -> list[int]:
    """The caller's entries that the index names, be they there or gone."""

    def work(session: Session) -> list[int]:
        numbers = owner_numbers(session, ctx.user.id)
        assert numbers is not None
        return candidates(session, SearchScope(*numbers, ()).ids, Literal(literal), 100)

    return await ctx.db.read(work)


async def found(ctx: Context, literal: str) -> list[str]:
    """The texts of the caller's that the index names, newest first."""
    ids = await named(ctx, literal)

    def work(session: Session) -> list[str]:
        numbers = owner_numbers(session, ctx.user.id)
        assert numbers is not None
        return [entry.text for entry in read_texts(session, SearchScope(*numbers, ()), ids)]

    return await ctx.db.read(work)


async def execute(ctx: Context, statement: str) -> None:
    def work(session: Session) -> None:
        session.execute(text(statement))

    await ctx.db.write(work)


async def test_a_text_that_is_gone_leaves_nothing_in_the_index(ctx: Context) -> None:
    thread_id = await write(ctx, "the first version", "another text")
    _, message = (await messages.list_messages(ctx, thread_id)).items
    await messages.update_message(ctx, thread_id, message.id, text="the second one")
    while await ctx.db.write(index_texts):
        pass
    assert len(await named(ctx, "version")) == 1
    await ctx.db.write(begin_rebuild)
    await rebuild(ctx)
    assert await named(ctx, "version") == []
    assert await found(ctx, "second") == ["the second one"]
    assert await found(ctx, "another") == ["another text"]


async def test_a_text_that_the_index_has_lost_is_found_again(ctx: Context) -> None:
    await write(ctx, "one text", "x" * 200_000)
    await execute(
        ctx,
        "INSERT INTO search_trigrams (search_trigrams) VALUES ('delete-all')"
        if ctx.db.file
        else "DELETE FROM search_trigrams",
    )
    assert await found(ctx, "one text") == []
    await ctx.db.write(begin_rebuild)
    await rebuild(ctx)
    assert await found(ctx, "one text") == ["one text"]
    assert await named(ctx, "xxx") == []  # too long: it is looked through instead


@pytest.mark.usefixtures("two_rows")
async def test_searches_are_right_after_every_part(ctx: Context) -> None:
    other = await new_caller(ctx)
    for caller in (ctx, other):
        await write(caller, *(f"text {number}" for number in range(4)))
    await ctx.db.write(begin_rebuild)
    parts = written = 0
    while await ctx.db.write(rebuild_some):
        parts += 1
        for caller in (ctx, other):
            assert len(await found(caller, "text ")) == 4 + written
        if parts < 10:  # some of them below what has been made, some above
            for caller in (ctx, other):
                await write(caller, f"text of part {parts}")
            written += 1
    assert parts > 10
    for caller in (ctx, other):
        assert len(await found(caller, "text ")) == 4 + written
        assert len(await found(caller, "part")) == written


@pytest.mark.usefixtures("two_rows")
async def test_one_that_was_left_off_is_gone_on_with(ctx: Context) -> None:
    await write(ctx, *(f"text {number}" for number in range(5)))
    await ctx.db.write(begin_rebuild)
    for _ in range(2):
        assert await ctx.db.write(rebuild_some)
    after = await ctx.db.read(rebuilt_until)
    assert after
    await ctx.db.write(begin_rebuild)
    assert await ctx.db.read(rebuilt_until) == after
    await rebuild(ctx)
    assert len(await found(ctx, "text ")) == 5


async def test_a_part_is_as_small_as_one_of_indexing(ctx: Context) -> None:
    await write(ctx, *(f"{number} " + "word " * 6000 for number in range(10)))
    await ctx.db.write(begin_rebuild)
    assert await rebuild(ctx) >= 4


async def test_two_in_a_row_leave_one_table(tmp_path: Path) -> None:
    with migrated("sqlite", tmp_path) as url:
        async with open_services(url, tmp_path) as services:
            ctx = await new_caller(services)
            await write(ctx, "one text")
            for _ in range(2):
                await ctx.db.write(begin_rebuild)
                await rebuild(ctx)
            assert await found(ctx, "one text") == ["one text"]
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'search_trigrams%'")
        parts = {name.removeprefix("search_trigrams") for (name,) in names}
    assert parts == {"", "_config", "_data", "_idx"}


async def test_what_belongs_to_no_entry_is_removed_from_a_table_of_rows(tmp_path: Path) -> None:
    with migrated("postgresql", tmp_path) as url:
        async with open_services(url, tmp_path) as services:
            ctx = await new_caller(services)
            await write(ctx, "one text", "two texts")
            for id_ in ("min(rowid) - 1", "max(rowid) + 1"):
                stray = f"SELECT {id_}, 'a text of nobody' FROM search_trigrams"
                await execute(ctx, f"INSERT INTO search_trigrams {stray}")
            await execute(ctx, "UPDATE search_trigrams SET text = 'wrong' WHERE text = 'two texts'")
            await ctx.db.write(begin_rebuild)
            await rebuild(ctx)
            texts = await ctx.db.read(
                lambda session: session.scalars(text("SELECT text FROM search_trigrams ORDER BY rowid")).all()
            )
    assert texts == ["one text", "two texts"]
