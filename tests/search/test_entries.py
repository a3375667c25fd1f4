"""Texts become entries, whose trigrams lead to them, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.models import MessageRow
from core.db.search_models import NOTHING, EntryRow
from core.resolvers import messages, threads
from core.search.entries import LONGEST_INDEXED, index_texts
from core.search.literals import Literal
from core.search.scope import SearchScope, long_entries, owner_numbers, read_texts
from core.search.trigrams import candidates
from tests.core.parts import new_caller, open_services
from tests.core.plans import explained
from tests.postgresql import migrated
from tests.search.texts import add_texts


@pytest.fixture(params=["sqlite", "postgresql"])
async def ctx(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Context]:
    """A caller on each of the databases."""
    with migrated(request.param, tmp_path) as url:
        async with open_services(url, tmp_path) as services:
            yield await new_caller(services)


async def write(ctx: Context, *texts: str, title: str | None = None) -> UUID:
    """A thread with messages of these texts."""
    thread = await threads.create_thread(ctx, title=title)
    await add_texts(ctx, thread.id, texts)
    return thread.id


async def index(ctx: Context) -> int:
    """Index until nothing is left; how many rows that were."""
    total = 0
    while count := await ctx.db.write(index_texts):
        total += count
    return total


async def found(ctx: Context, literal: str) -> list[str]:
    """The texts of the caller's that the trigram index names, newest first."""

    def work(session: Session) -> list[str]:
        numbers = owner_numbers(session, ctx.user.id)
        assert numbers is not None
        scope = SearchScope(*numbers, ())
        ids = candidates(session, scope.ids, Literal(literal), 100)
        return [entry.text for entry in read_texts(session, scope, [*ids, *long_entries(session, scope)])]

    return await ctx.db.read(work)


async def test_texts_are_found_by_their_trigrams_whatever_their_case(ctx: Context) -> None:
    await write(ctx, "Ёжик в ТУМАНЕ", "A hedgehog", 'say "hi" 100%_\\', title="About Rome")
    assert await index(ctx) == 4
    assert await found(ctx, "ежик") == ["Ёжик в ТУМАНЕ"]
    assert await found(ctx, "hedgehog") == ["A hedgehog"]
    assert await found(ctx, '"hi" 100%_\\') == ['say "hi" 100%_\\']
    assert await found(ctx, "out rom") == ["About Rome"]
    assert await found(ctx, "100%%") == []
    assert await index(ctx) == 0


async def test_entries_are_one_owners_range(ctx: Context) -> None:
    other = await new_caller(ctx)
    for caller in (ctx, other, ctx):
        await write(caller, f"text of {caller.user.username}")
    await index(ctx)
    assert await found(ctx, "text of") == [f"text of {ctx.user.username}"] * 2
    assert await found(other, "text of") == [f"text of {other.user.username}"]


async def test_a_text_that_changes_is_found_by_what_it_says_now(ctx: Context) -> None:
    thread_id = await write(ctx, "the first version", title="first title")
    await index(ctx)
    (message,) = (await messages.list_messages(ctx, thread_id)).items
    await messages.update_message(ctx, thread_id, message.id, text="the second version")
    await threads.update_thread(ctx, thread_id, summary="a summary")
    assert await found(ctx, "first") == []  # at once: what was written must not come back
    assert await index(ctx) == 2
    assert await found(ctx, "second") == ["the second version"]
    assert await found(ctx, "title") == ["first title\na summary"]
    await messages.update_message(ctx, thread_id, message.id, text="the second version", tokens_count=1)
    assert await index(ctx) == 0


async def test_what_has_no_text_is_not_asked_for_again(ctx: Context) -> None:
    thread_id = await write(ctx, " \n ", "")
    assert await index(ctx) == 3
    assert await index(ctx) == 0
    ids = await ctx.db.read(lambda session: session.scalars(select(MessageRow.entry_id)).all())
    assert ids == [NOTHING] * 2
    (message, _) = (await messages.list_messages(ctx, thread_id)).items
    await messages.update_message(ctx, thread_id, message.id, text="now there is one")
    await index(ctx)
    assert await found(ctx, "there is") == ["now there is one"]


async def test_long_texts_are_looked_through_instead(ctx: Context) -> None:
    text = "x" * LONGEST_INDEXED + " needle"
    await write(ctx, text, "short needle")
    await index(ctx)
    assert sorted(map(len, await found(ctx, "needle"))) == [12, len(text)]


async def test_many_texts_are_taken_a_few_at_a_time(ctx: Context) -> None:
    await write(ctx, *(f"{number} " + "word " * 6000 for number in range(10)))
    counts: list[Any] = []
    while count := await ctx.db.write(index_texts):
        counts.append(count)
    assert sum(counts) == 11
    assert max(counts) <= 4
    entries = await ctx.db.read(lambda session: session.scalars(select(EntryRow.position)).all())
    assert sorted(entries) == list(range(1, 11))


async def test_looking_for_long_texts_reads_no_others(tmp_path: Path) -> None:
    with migrated("sqlite", tmp_path) as url:
        async with open_services(url, tmp_path) as services:
            with explained() as plans:
                await services.db.read(lambda session: long_entries(session, SearchScope(1, 0, ())))
    assert len(plans) == 1
    assert "ix_search_entries_long" in plans[0]
