"""Nobody finds what is not theirs to see: whatever owners, allow lists and deletions there are."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.context import Context, Services
from core.db.keyset import Window
from core.resolvers import threads
from core.resolvers.search import SearchMode, search
from core.resolvers.search_status import search_status
from tests.core.parts import new_caller, open_services
from tests.postgresql import migrated
from tests.search.embeddings import EmbeddingApi
from tests.search.texts import add_texts

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = ("hound", "inn", "rome", "other")
PRODUCTS = ("a", "b", None)


@dataclass(frozen=True)
class Told:
    """A thread as a test has it written."""

    owner: int
    product: str | None
    word: str
    is_deleted: bool


WORLDS = st.tuples(
    st.lists(
        st.builds(Told, st.integers(0, 2), st.sampled_from(PRODUCTS), st.sampled_from(WORDS), st.booleans()),
        max_size=8,
    ),
    st.lists(st.sampled_from([(), ("a",), ("b",), ("a", "b")]), min_size=3, max_size=3),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """An index that is kept up to date, with vectors."""
    directory = tmp_path_factory.mktemp("privacy")
    with EmbeddingApi() as api, migrated("sqlite", directory) as url:
        values = {name.removeprefix("CHAT_").lower(): value for name, value in api.settings.items()}
        async with open_services(
            url, directory, chroma_persist_directory=directory / "chroma", **values
        ) as parts:
            await parts.search.start()
            yield parts


async def write(owner: Context, told: Told) -> str:
    """The thread; its title, by which it is known, is not what is searched for."""
    metadata = {"product": told.product} if told.product else {}
    thread = await threads.create_thread(owner, title=None, metadata=metadata)
    await add_texts(owner, thread.id, [told.word])
    await threads.update_thread(owner, thread.id, is_deleted=told.is_deleted)
    return str(thread.id)


async def indexed(ctx: Context) -> None:
    async with asyncio.timeout(60):
        while (await search_status(ctx)).pending:  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.01)


@given(WORLDS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_everybody_finds_all_that_they_may_see_and_nothing_else(
    services: Services, world: tuple[list[Told], list[tuple[str, ...]]]
) -> None:
    written, allow_lists = world
    owners = [await new_caller(services) for _ in range(3)]
    ids = {await write(owners[told.owner], told): told for told in written}
    for number, owner in enumerate(owners):
        await indexed(owner)
        narrow = services.context(replace(owner.user, allowed_products=allow_lists[number]))
        for word in WORDS:
            expected = {
                thread_id
                for thread_id, told in ids.items()
                if (told.owner, told.word, told.is_deleted) == (number, word, False)
                and (not allow_lists[number] or told.product in (*allow_lists[number], None))
            }
            for mode in SearchMode:
                found = (await search(narrow, word, mode=mode, window=Window(last=100))).hits
                assert {str(hit.thread.id) for hit in found.items} == expected, (mode, word)
                # Not by a count, nor by a similarity, either.
                assert found.total == len(expected)
                assert all(match.message for hit in found.items for match in hit.matches)
