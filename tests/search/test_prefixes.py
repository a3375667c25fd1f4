"""Vectors of another prefix or model never mix; those of before answer until the new ones can."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.context import Context
from core.db.migrate import migrate
from core.db.models import MessageRow
from core.db.records import User
from core.db.search_models import CollectionRow, EntryRow
from core.resolvers import threads
from core.resolvers.search import SearchMode, search
from core.search.collections import NumberedCollection, add_collection, live_collection
from core.search.vectors import Collection, PieceIds, VectorsMissing
from tests.core.parts import new_caller, open_services
from tests.search.embeddings import EmbeddingApi
from tests.search.texts import add_texts
from tests.search.waiting import PATIENCE_SECONDS, indexed, until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is out of reach is asked for again at once."""
    monkeypatch.setattr("core.search.embedding_api._FIRST_WAIT", 0.001)
    monkeypatch.setattr("core.search.retries.LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("core.search.indexer.POLL_SECONDS", 0.1)


@pytest.fixture
def embeddings() -> Iterator[EmbeddingApi]:
    with EmbeddingApi() as api:
        yield api


class Place:
    """One database and one directory of vectors, for one server after the other."""

    def __init__(self, directory: Path, embeddings: EmbeddingApi) -> None:
        self._directory = directory
        self._url = f"sqlite:///{directory / 'app.db'}"
        self._embeddings = embeddings
        self._user: User | None = None
        migrate(self._url)

    @asynccontextmanager
    async def served(self, passage: str = "", query: str = "", **values: Any) -> AsyncIterator[Context]:
        """The caller, while the index is kept up to date with these prefixes."""
        settings = {"embedding_api_base": self._embeddings.url, "embedding_model_name": "words", **values}
        prefixes = {"embedding_passage_prefix": passage, "embedding_query_prefix": query}
        chroma = self._directory / "chroma"
        async with open_services(
            self._url, self._directory, chroma_persist_directory=chroma, **settings, **prefixes
        ) as parts:
            await parts.search.start()
            ctx = await new_caller(parts) if self._user is None else parts.context(self._user)
            self._user = ctx.user
            yield ctx


@pytest.fixture
def place(tmp_path: Path, embeddings: EmbeddingApi) -> Place:
    return Place(tmp_path, embeddings)


async def write(ctx: Context, title: str, *texts: str) -> UUID:
    """A thread with messages of these texts."""
    thread = await threads.create_thread(ctx, title=title)
    await add_texts(ctx, thread.id, texts)
    await threads.update_thread(ctx, thread.id)  # so that it is noticed at once
    return thread.id


async def finds(ctx: Context, query: str, *wanted: str) -> bool:
    """Whether these threads, and no others, are found by meaning."""
    results = await search(ctx, query, mode=SearchMode.SEMANTIC)
    return {hit.thread.title for hit in results.hits.items} == set(wanted)


async def live(ctx: Context) -> NumberedCollection:
    found = await ctx.db.read(live_collection)
    assert found is not None
    return found


async def with_pets(ctx: Context) -> NumberedCollection:
    """The collection that answers, once a thread about a hound is in it."""
    await write(ctx, "pets", "my hound sleeps")
    await indexed(ctx)
    return await live(ctx)


async def another_answers(ctx: Context, before: NumberedCollection) -> None:
    """Wait until another collection answers, which is the only one then."""

    async def answers() -> bool:
        return (await live(ctx)).number != before.number

    await until(answers)
    assert await ctx.db.read(lambda session: session.scalar(select(func.count(CollectionRow.number)))) == 1


async def all_vectors_are_of_the_embedder(ctx: Context) -> bool:
    """Whether the collection that answers has every message, as the embedder of these settings embeds it."""

    def work(session: Session) -> list[tuple[int, str]]:
        query = select(EntryRow.id, MessageRow.text).join(MessageRow, MessageRow.id == EntryRow.message_id)
        return [(id_, text) for id_, text in session.execute(query)]

    rows = await ctx.db.read(work)
    ids = PieceIds(np.array([id_ for id_, _ in rows]), np.zeros(len(rows), dtype=np.int32))
    places, found = await ctx.search.vectors.get((await live(ctx)).collection, ids)
    wanted = await ctx.search.embedder.embed_passages([text for _, text in rows])
    return len(places) == len(rows) and np.allclose(found, wanted, atol=1e-5)


async def test_another_passage_prefix_fills_another_collection_while_that_of_before_answers(
    place: Place, embeddings: EmbeddingApi
) -> None:
    async with place.served("alpha ") as ctx:
        before = await with_pets(ctx)
    embeddings.busy_with = "beta my hound"
    async with place.served("beta ") as ctx:
        await write(ctx, "travel", "an inn")
        await until(lambda: finds(ctx, "hotel", "travel"))  # what is new is found meanwhile, too
        assert await finds(ctx, "dog", "pets")
        assert await live(ctx) == before
        embeddings.busy_with = None
        await another_answers(ctx, before)
        assert await all_vectors_are_of_the_embedder(ctx)
        assert (await live(ctx)).collection.model.prefixes.passage == "beta "
        assert await finds(ctx, "dog", "pets")
        assert await finds(ctx, "hotel", "travel")


async def test_another_query_prefix_needs_no_new_vectors(place: Place, embeddings: EmbeddingApi) -> None:
    async with place.served("alpha ", "? ") as ctx:
        before = await with_pets(ctx)
    embeddings.texts.clear()
    async with place.served("alpha ", "?? ") as ctx:
        await until(lambda: finds(ctx, "dog", "pets"))
        await until(lambda: noted(ctx, "?? "))
        assert (await live(ctx)).number == before.number
        assert await all_vectors_are_of_the_embedder(ctx)
    assert "?? dog" in embeddings.texts
    # Once, as this test itself asks what it would be.
    assert [text for text in embeddings.texts if "hound" in text] == ["alpha my hound sleeps"]


async def noted(ctx: Context, query: str) -> bool:
    return (await live(ctx)).collection.model.prefixes.query == query


async def test_the_query_prefix_of_before_goes_with_the_vectors_of_before(
    place: Place, embeddings: EmbeddingApi
) -> None:
    async with place.served("alpha ", "? ") as ctx:
        before = await with_pets(ctx)
    embeddings.busy_with = "beta my hound"
    async with place.served("beta ", "?? ") as ctx:
        await until(lambda: finds(ctx, "dog", "pets"))
        assert "? dog" in embeddings.texts
        assert "?? dog" not in embeddings.texts
        embeddings.busy_with = None
        await another_answers(ctx, before)
        assert await finds(ctx, "dog", "pets")
    assert "?? dog" in embeddings.texts


async def test_who_returns_to_the_model_of_before_misses_nothing(
    place: Place, embeddings: EmbeddingApi
) -> None:
    async with place.served() as ctx:
        before = await with_pets(ctx)
    embeddings.busy_with = "hound"
    async with place.served(embedding_model_name="other words") as ctx:
        await write(ctx, "travel", "an inn")
        await until(lambda: embedded_in_another_than(ctx, before, "an inn"))
    embeddings.busy_with = None
    embeddings.texts.clear()
    async with place.served() as ctx:
        await until(lambda: finds(ctx, "hotel", "travel"))
        assert await finds(ctx, "dog", "pets")
        assert await live(ctx) == before
    assert "my hound sleeps" not in embeddings.texts


async def embedded_in_another_than(ctx: Context, before: NumberedCollection, text: str) -> bool:
    query = select(EntryRow.embedded_in).join(MessageRow, MessageRow.id == EntryRow.message_id)
    number = await ctx.db.read(lambda session: session.scalar(query.where(MessageRow.text == text)))
    return number is not None and number > before.number


@pytest.mark.parametrize(("earlier", "later"), [("- ", "– " * 8), ("– " * 8, "- ")], ids=["more", "fewer"])
async def test_a_text_that_has_another_number_of_pieces_now_is_found_among_the_vectors_of_before(
    place: Place, embeddings: EmbeddingApi, earlier: str, later: str
) -> None:
    filler = "Words that say nothing fill the pages here. "
    long = filler * 120 + "An inn. " * 60
    async with place.served(earlier, embedding_max_tokens=64) as ctx:
        # The second one is as long, so that the hound does not come in one batch with the first.
        await write(ctx, "travel", long, filler * 150)
        await indexed(ctx)
        before = await with_pets(ctx)
    embeddings.busy_with = f"{later}my hound"
    async with place.served(later, embedding_max_tokens=64) as ctx:
        await until(lambda: embedded_in_another_than(ctx, before, long))
        assert await live(ctx) == before
        assert await finds(ctx, "hotel", "travel")
        embeddings.busy_with = None
        await another_answers(ctx, before)
        assert await finds(ctx, "hotel", "travel")
        assert await finds(ctx, "dog", "pets")


async def test_lost_vectors_of_before_are_not_made_anew_with_another_prefix(
    place: Place, embeddings: EmbeddingApi
) -> None:
    async with place.served("alpha ") as ctx:
        before = await with_pets(ctx)
    embeddings.busy_with = "beta my hound"
    async with place.served("beta ") as ctx:
        await write(ctx, "travel", "an inn")
        await until(lambda: embedded_in_another_than(ctx, before, "an inn"))
        await ctx.search.vectors.drop(before.collection)
        with pytest.raises(VectorsMissing):
            await search(ctx, "dog", mode=SearchMode.SEMANTIC)
        assert (await live(ctx)).collection.model.prefixes.passage == "beta "
        assert await finds(ctx, "hotel", "travel")
        embeddings.busy_with = None
        await until(lambda: finds(ctx, "dog", "pets"))
        assert await all_vectors_are_of_the_embedder(ctx)


async def test_vectors_from_before_prefixes_were_noted_are_taken_over(
    place: Place, embeddings: EmbeddingApi
) -> None:
    async with place.served("alpha ", "? ") as ctx:
        before = await with_pets(ctx)
    embeddings.texts.clear()
    async with place.served("alpha ", "? ", search_enabled=False) as ctx:
        await ctx.db.write(forget_prefixes)
    async with place.served("alpha ", "? ") as ctx:
        await until(lambda: noted(ctx, "? "))
        assert await live(ctx) == before
        await until(lambda: finds(ctx, "dog", "pets"))
    assert "alpha my hound sleeps" not in embeddings.texts


def forget_prefixes(session: Session) -> None:
    session.execute(update(CollectionRow).values(query_prefix=None, passage_prefix=None))


async def test_what_is_written_while_all_is_embedded_anew_is_found(
    place: Place, embeddings: EmbeddingApi
) -> None:
    async with place.served() as ctx:
        before = await with_pets(ctx)
        embeddings.busy_with = "hound"
        again = Collection.new(before.collection.model, before.collection.dimension)
        await ctx.db.write(lambda session: add_collection(session, again))
        # Else both texts might go in one batch, and be refused together.
        assert await asyncio.to_thread(embeddings.refused.wait, PATIENCE_SECONDS)
        await write(ctx, "travel", "an inn")
        await until(lambda: embedded_in_another_than(ctx, before, "an inn"))
        assert await live(ctx) == before
        assert await finds(ctx, "hotel", "travel")
        assert await finds(ctx, "dog", "pets")
        embeddings.busy_with = None
        await another_answers(ctx, before)
        assert await all_vectors_are_of_the_embedder(ctx)
