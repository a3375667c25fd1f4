"""Searching on both databases: the same hits, for nobody else, whatever else is there."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.context import Context
from core.db.keyset import Window
from core.errors import InvalidQuery, Unavailable
from core.resolvers import threads
from core.resolvers.search import SearchDisabled, SearchMode, search
from core.resolvers.search_scope import SearchFilter
from tests.core.parts import new_caller, open_services
from tests.postgresql import migrated
from tests.search.embeddings import EmbeddingApi
from tests.search.texts import add_texts
from tests.search.waiting import indexed, until

MODES = tuple(SearchMode)


@pytest.fixture(scope="module")
def embeddings() -> Iterator[EmbeddingApi]:
    with EmbeddingApi() as api:
        yield api


@pytest.fixture(params=["sqlite", "postgresql"])
async def ctx(
    request: pytest.FixtureRequest, embeddings: EmbeddingApi, tmp_path: Path
) -> AsyncIterator[Context]:
    """A caller on each of the databases, whose index is kept up to date."""
    values = {name.removeprefix("CHAT_").lower(): value for name, value in embeddings.settings.items()}
    with migrated(request.param, tmp_path) as url:
        async with open_services(
            url, tmp_path, chroma_persist_directory=tmp_path / "chroma", **values
        ) as parts:
            await parts.search.start()
            yield await new_caller(parts)


async def write(ctx: Context, title: str, *texts: str, **metadata: Any) -> UUID:
    """A thread with messages of these texts, written past the product."""
    thread = await threads.create_thread(ctx, title=title, metadata=metadata)
    await add_texts(ctx, thread.id, texts)
    await threads.update_thread(ctx, thread.id)  # so that it is noticed at once
    return thread.id


async def found(ctx: Context, query: str, mode: SearchMode, **wanted: Any) -> list[str | None]:
    results = await search(ctx, query, mode=mode, wanted=SearchFilter(**wanted))
    return [hit.thread.title for hit in results.hits.items]


async def test_every_mode_finds_and_none_finds_anothers(ctx: Context) -> None:
    await write(ctx, "Питомцы", "Мой пёс спит", "Another text", model="m1", product="a")
    await write(ctx, "Другое", "hound in English", model="m2", product="b")
    other = await new_caller(ctx)
    await write(other, "theirs", "пес и hound")
    await indexed(ctx)
    await indexed(other)

    assert set(await found(ctx, "собака", SearchMode.SEMANTIC)) == {"Питомцы", "Другое"}
    assert await found(ctx, "ПЕС", SearchMode.TEXT) == ["Питомцы"]
    assert await found(ctx, r"п[её]с\b", SearchMode.REGEX) == ["Питомцы"]
    assert (await found(ctx, "hound", SearchMode.HYBRID))[0] == "Другое"
    assert await found(ctx, "dog", SearchMode.SEMANTIC, models=("m2",)) == ["Другое"]
    for mode in MODES:
        assert await found(other, "пес", mode) == ["theirs"]
        assert await found(await new_caller(ctx), "пес", mode) == []


async def test_what_is_deleted_moved_or_not_allowed_is_not_found(ctx: Context) -> None:
    thread_id = await write(ctx, "pets", "my hound sleeps", product="a")
    await indexed(ctx)
    narrow = ctx.context(replace(ctx.user, allowed_products=("b",)))
    for mode in MODES:
        assert await found(ctx, "hound", mode) == ["pets"]
        assert await found(narrow, "hound", mode) == []
    await threads.update_thread(ctx, thread_id, metadata={"product": "b"})
    assert [await found(narrow, "hound", mode) for mode in MODES] == [["pets"]] * len(MODES)
    await threads.delete_thread(ctx, thread_id)
    assert [await found(ctx, "hound", mode) for mode in MODES] == [[]] * len(MODES)


async def test_parts_of_the_hits_fit_together(ctx: Context) -> None:
    for number in range(6):
        await write(ctx, str(number), f"hound number {number}")
    await indexed(ctx)
    for mode in MODES:
        whole = (await search(ctx, "hound", mode=mode, window=Window(first=10))).hits
        assert (len(whole.items), whole.has_next, whole.has_previous) == (6, False, False)
        ranks = [hit.rank for hit in whole.items]
        assert ranks == list(range(6))
        titles = [hit.thread.title for hit in whole.items]
        for window, part in (
            (Window(first=2, after=1), slice(2, 4)),
            (Window(last=2), slice(4, 6)),
            (Window(last=2, before=3), slice(1, 3)),
            (Window(first=4, after=3), slice(4, 6)),
        ):
            found = (await search(ctx, "hound", mode=mode, window=window)).hits
            assert [hit.thread.title for hit in found.items] == titles[part]
            assert [hit.rank for hit in found.items] == ranks[part]
            assert (found.has_previous, found.has_next) == (part.start > 0, part.stop < 6)


async def test_without_vectors_texts_are_found_and_meaning_says_why_not(
    ctx: Context, embeddings: EmbeddingApi
) -> None:
    embeddings.is_down = True
    try:
        await write(ctx, "pets", "my hound sleeps")
        await until(lambda: found(ctx, "hound", SearchMode.TEXT))
        with pytest.raises(Unavailable):
            await search(ctx, "dog", mode=SearchMode.SEMANTIC)
        hybrid = await search(ctx, "hound")
        assert [hit.thread.title for hit in hybrid.hits.items] == ["pets"]
        assert hybrid.is_partial
    finally:
        embeddings.is_down = False
    await indexed(ctx)  # what was missed is made up for
    assert await found(ctx, "dog", SearchMode.SEMANTIC) == ["pets"]


@pytest.mark.parametrize("query", ["", "  ", "x" * 10_001])
async def test_nothing_is_no_query(ctx: Context, query: str) -> None:
    for mode in MODES:
        with pytest.raises(InvalidQuery):
            await search(ctx, query, mode=mode)


async def test_search_can_be_switched_off(tmp_path: Path) -> None:
    with migrated("sqlite", tmp_path) as url:
        async with open_services(url, tmp_path, search_enabled=False) as parts:
            await parts.search.start()
            with pytest.raises(SearchDisabled):
                await search(await new_caller(parts), "hound")
