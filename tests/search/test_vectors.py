"""Vectors in a real Chroma: in a directory, and on a server process."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import SettingsError
from core.search.chroma_copies import index_names
from core.search.embedding_prefixes import VectorModel
from core.search.vectors import Collection, PieceIds, VectorsMissing, VectorStore, VectorStoreUnavailable
from core.settings import Settings
from tests.search.chroma_processes import ChromaServer, write_until_killed

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWNER = 7 << 32
DIMENSION = 16


@asynccontextmanager
async def opened(directory: Path, url: str | None = None) -> AsyncIterator[VectorStore]:
    store = VectorStore(Settings(_env_file=None, chroma_persist_directory=directory, chroma_url=url))
    try:
        await store.open()
        yield store
    finally:
        await store.close()


def pieces(entries: range, piece: int = 0) -> PieceIds:
    ids = OWNER + np.array(entries, dtype=np.int64)
    return PieceIds(ids, np.full(len(ids), piece, dtype=np.int32))


def vectors(count: int, dimension: int = DIMENSION, seed: int = 1) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def kill_holder(directory: Path) -> None:
    """Kill the process that holds the directory, and leave what a kill can: half of a file that is saved."""
    os.kill(int((directory / "gwp-chat.open").read_text()), signal.SIGKILL)
    for index in directory.glob("*-*/data_level0.bin"):
        index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])


@dataclass(frozen=True)
class Inherited:
    """A directory whose first server was killed in the middle of adds, opened by another."""

    directory: Path
    store: VectorStore
    told: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inherited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Inherited]:
    directory = tmp_path_factory.mktemp("vectors")
    told = await asyncio.to_thread(write_until_killed, directory)
    async with opened(directory) as store:
        yield Inherited(directory, store, told)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with ChromaServer(tmp_path_factory.mktemp("chroma")) as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def remote(
    server: ChromaServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VectorStore]:
    async with opened(tmp_path_factory.mktemp("unused"), server.url) as store:
        yield store


async def made(store: VectorStore, model: str, dimension: int) -> Collection:
    """A new collection, which is there."""
    collection = Collection.new(VectorModel(model), dimension)
    await store.create(collection)
    return collection


async def test_vectors_in_a_directory_are_given_by_id_replaced_and_removed(inherited: Inherited) -> None:
    before = index_names(inherited.directory)
    await give_replace_and_remove(inherited.store)
    assert index_names(inherited.directory) == before


async def test_vectors_on_a_server_are_given_by_id_replaced_and_removed(remote: VectorStore) -> None:
    await give_replace_and_remove(remote)


async def give_replace_and_remove(store: VectorStore) -> None:
    data = vectors(700)
    collection = await made(store, "a/model", DIMENSION)
    await store.add(collection, pieces(range(700)), data)
    await store.add(collection, pieces(range(100)), data[:100])

    rows, found = await store.get(collection, pieces(range(699, -50, -1)))
    assert rows.tolist() == list(range(700))
    np.testing.assert_array_equal(found, data[::-1])

    near, similarities = await store.nearest(collection, data[3], 10_000)
    assert len(near) == 700
    assert near.entries[0] == OWNER + 3
    assert similarities[0] == pytest.approx(1, abs=1e-5)
    assert (np.diff(similarities) <= 0).all()

    await store.add(collection, pieces(range(1)), data[5:6])
    rows, found = await store.get(collection, pieces(range(1)))
    np.testing.assert_array_equal(found, data[5:6])

    await store.delete(collection, pieces(range(600)))
    await store.delete(collection, pieces(range(600)))
    rows, found = await store.get(collection, pieces(range(700)))
    assert rows.tolist() == list(range(600, 700))
    rows, found = await store.get(collection, pieces(range(10)))
    assert (len(rows), found.shape) == (0, (0, DIMENSION))

    await store.drop(collection)
    await store.drop(collection)
    with pytest.raises(VectorsMissing, match="gwp-chat reindex"):
        await store.get(collection, pieces(range(1)))


async def test_a_collection_is_filled_beside_one_of_the_same_model(inherited: Inherited) -> None:
    store, old, new = inherited.store, vectors(5), vectors(3, seed=2)
    live = await made(store, "beside", DIMENSION)
    await store.add(live, pieces(range(5)), old)
    filled = await made(store, "beside", DIMENSION)
    assert filled.name != live.name
    await store.add(filled, pieces(range(3)), new)
    np.testing.assert_array_equal((await store.get(live, pieces(range(9))))[1], old)
    await store.drop(live)
    await store.create(filled)
    np.testing.assert_array_equal((await store.get(filled, pieces(range(9))))[1], new)


@given(st.text(min_size=1), st.integers(1, 99_999))
async def test_names_of_collections_keep_to_the_rules_of_chroma(model: str, dimension: int) -> None:
    name = Collection.new(VectorModel(model), dimension).name
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name)
    assert f"-{dimension}-" in name


async def ticks_during(work: Awaitable[object]) -> int:
    """How often the loop came round, a millisecond apart, while this was done."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await work
    ticking.cancel()
    return ticks


async def test_the_loop_runs_on_while_vectors_are_stored(inherited: Inherited) -> None:
    collection = await made(inherited.store, "long", 384)
    adding = inherited.store.add(collection, pieces(range(1280)), vectors(1280, 384))
    # In this process, Chroma would let the loop run ten times: between its operations.
    assert await ticks_during(adding) > 60


async def test_a_second_process_is_refused_and_the_first_goes_on(inherited: Inherited) -> None:
    with pytest.raises(SettingsError, match=r"CHAT_CHROMA_PERSIST_DIRECTORY.*CHAT_CHROMA_URL"):
        async with opened(inherited.directory):
            pass
    await made(inherited.store, "first", DIMENSION)


async def test_a_store_that_is_closed_says_so(tmp_path: Path) -> None:
    store = VectorStore(Settings(_env_file=None, chroma_persist_directory=tmp_path))
    await store.close()
    with pytest.raises(VectorStoreUnavailable, match="closed"):
        await made(store, "model", DIMENSION)


async def test_a_directory_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="CHAT_CHROMA_PERSIST_DIRECTORY"):
        async with opened(tmp_path / "file" / "directory"):
            pass


@pytest.mark.parametrize(
    "wrong",
    [vectors(2), vectors(3, DIMENSION + 1), np.full((3, DIMENSION), np.nan, dtype=np.float32)],
    ids=["too few", "too long", "not finite"],
)
async def test_wrong_vectors_are_refused_before_any_is_stored(
    wrong: NDArray[np.float32], tmp_path: Path
) -> None:
    store = VectorStore(Settings(_env_file=None, chroma_persist_directory=tmp_path))
    with pytest.raises(ValueError, match="3 finite vectors"):
        await store.add(Collection("name", VectorModel("model"), DIMENSION), pieces(range(3)), wrong)


async def test_a_kill_while_the_index_is_being_saved_loses_nothing(
    inherited: Inherited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.search.vectors.SAVED_AFTER", 500)
    count = 700
    data = vectors(count, 4)
    store = inherited.store
    collection = await made(store, "saved", 4)
    await store.add(collection, pieces(range(count)), data)
    assert list(inherited.directory.glob("gwp-chat-copies/*/data_level0.bin"))
    kill_holder(inherited.directory)
    rows, found = await store.get(collection, pieces(range(count)))
    assert len(rows) == count
    np.testing.assert_array_equal(found, data)
    # Not out of the rows of SQLite only: the index, too, is whole again.
    near, _ = await store.nearest(collection, data[3], 20)
    assert len(near) == 20


async def test_a_server_killed_in_the_middle_of_adds_has_all_that_it_was_told_is_stored(
    inherited: Inherited,
) -> None:
    collection = Collection("killed", VectorModel("killed"), DIMENSION)
    ids = np.arange(inherited.told)
    rows, found = await inherited.store.get(collection, PieceIds(ids, (ids % 3).astype(np.int32)))
    assert len(rows) == inherited.told >= 640
    np.testing.assert_array_equal(found[:, 0], ids)


async def test_a_damaged_directory_is_told_in_plain_words(
    tmp_path: Path,
) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"no database" * 1000)
    async with opened(tmp_path) as store:
        with pytest.raises(VectorStoreUnavailable, match="move its directory away"):
            await made(store, "model", DIMENSION)
        (tmp_path / "chroma.sqlite3").unlink()
        collection = await made(store, "model", DIMENSION)
        assert len((await store.get(collection, pieces(range(1))))[0]) == 0


async def test_a_server_that_was_down_is_used_again(remote: VectorStore, server: ChromaServer) -> None:
    collection = await made(remote, "a model that stays", DIMENSION)
    await remote.add(collection, pieces(range(5)), vectors(5))
    server.stop()
    try:
        with pytest.raises(VectorStoreUnavailable, match="does not answer"):
            await remote.get(collection, pieces(range(5)))
    finally:
        server.start()
    rows, _ = await remote.get(collection, pieces(range(5)))
    assert len(rows) == 5
