"""What one owner can find: exact, bounded in memory, and as new as SQL."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from core.search import scopes, scoring
from core.search.embedding_prefixes import VectorModel
from core.search.scope_rows import EntryArrays
from core.search.scopes import ScopeCache
from core.search.scoring import Scored
from core.search.vectors import Collection, PieceIds, VectorStore, VectorStoreUnavailable
from core.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

DIMENSION = 32
ROOM = 64 * 2**20


class Owner:
    """An owner's rows as SQL would give them, and their vectors by entry."""

    def __init__(self, store: VectorStore, collection: Collection, number: int) -> None:
        self.number = number
        self.pieces: dict[int, int] = {}
        self.vectors: dict[tuple[int, int], NDArray[np.float32]] = {}
        self.asked: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.began = asyncio.Event()
        self._store = store
        self._collection = collection
        self._random = np.random.default_rng(number)
        self._sequence = 0

    @property
    def newest(self) -> int:
        return (self.number << 32) + self._sequence - 1

    def new_ids(self, count: int) -> list[int]:
        ids = [(self.number << 32) + self._sequence + n for n in range(count)]
        self._sequence += count
        self.pieces.update(dict.fromkeys(ids, 0))
        return ids

    async def embed(self, ids: list[int], pieces: int = 1) -> list[int]:
        keys = [(entry, piece) for entry in ids for piece in range(pieces)]
        drawn = self._random.standard_normal((len(keys), DIMENSION)).astype(np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        entries, numbers = np.array(keys, dtype=np.int64).T
        await self._store.add(self._collection, PieceIds(entries, numbers.astype(np.int32)), drawn)
        self.vectors.update(zip(keys, drawn, strict=True))
        self.pieces.update(dict.fromkeys(ids, pieces))
        return ids

    async def add(self, count: int, pieces: int = 1) -> list[int]:
        return await self.embed(self.new_ids(count), pieces)

    async def load(self, after: int) -> EntryArrays:
        self.asked.append(after)
        self.began.set()
        ids = np.array(sorted(each for each in self.pieces if each > after), dtype=np.int64)
        await self.gate.wait()
        counts = np.array([self.pieces[each] for each in ids.tolist()], dtype=np.int32)
        threads = (ids & 0xFFFFFFFF).astype(np.int32) // 10
        return EntryArrays(ids, counts, threads, np.zeros(len(ids), np.int8), ids)

    def expected(self, query: NDArray[np.float32], most: int, hidden: frozenset[int] = frozenset()) -> Scored:
        best: dict[int, tuple[float, int]] = {}
        for (entry, piece), vector in self.vectors.items():
            if entry in self.pieces and entry not in hidden:
                best[entry] = max(best.get(entry, (-2.0, 0)), (float(vector @ query), piece))
        top = sorted(best, key=lambda entry: -best[entry][0])[:most]
        return Scored(
            np.array(top, dtype=np.int64),
            np.array([best[each][1] for each in top], dtype=np.int32),
            np.array([best[each][0] for each in top], dtype=np.float32),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VectorStore]:
    """One process for all tests here: it takes a second to start."""
    directory = tmp_path_factory.mktemp("vectors")
    store = VectorStore(Settings(_env_file=None, chroma_persist_directory=directory))
    try:
        await store.open()
        yield store
    finally:
        await store.close()


@pytest_asyncio.fixture(loop_scope="module")
async def collection(store: VectorStore, request: pytest.FixtureRequest) -> Collection:
    made = Collection.new(VectorModel(request.node.name), DIMENSION)
    await store.create(made)
    return made


def query(seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn)
    return unit


def assert_same(found: Scored, expected: Scored) -> None:
    assert found.entry_ids.tolist() == expected.entry_ids.tolist()
    assert found.pieces.tolist() == expected.pieces.tolist()
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-5)


async def test_a_scope_follows_what_is_added_late_changed_and_forgotten(
    store: VectorStore, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "BLOCK_ROWS", 100)
    monkeypatch.setattr(scoring, "SCORED_INLINE", 150)
    monkeypatch.setattr(scopes, "LATE_SECONDS", 0)
    cache = ScopeCache(store, ROOM)
    mine, other = Owner(store, collection, 1), Owner(store, collection, 2)
    await other.add(50)
    first = await mine.add(130)
    late = mine.new_ids(3)
    await mine.add(40, pieces=3)
    scope = await cache.scope(collection, 1, mine.newest, mine.load)
    assert scope.lacking.tolist() == late
    assert_same(await scope.score(query(), most=30), mine.expected(query(), 30))
    assert_same(await scope.score(query(), most=1000), mine.expected(query(), 1000))

    await mine.embed(late, pieces=2)
    await mine.add(1)
    grown = await cache.scope(collection, 1, mine.newest, mine.load)
    assert grown.lacking.tolist() == []
    assert_same(await grown.score(query(), most=400), mine.expected(query(), 400))

    for entry in first[50:70]:
        del mine.pieces[entry]
    cache.forget(1, first[50:70])
    smaller = await cache.scope(collection, 1, mine.newest, mine.load)
    assert_same(await smaller.score(query(), most=400), mine.expected(query(), 400))
    await mine.add(250)
    last = await cache.scope(collection, 1, mine.newest, mine.load)
    assert_same(await last.score(query(), most=40), mine.expected(query(), 40))
    assert mine.asked[-1] == last.seen - 250

    mask = last.rows.thread_numbers != 3
    hidden = frozenset(last.rows.entry_ids[~mask].tolist())
    assert hidden
    assert_same(await last.score(query(), mask, most=40), mine.expected(query(), 40, hidden))
    # Scopes that were given before are what they were.
    assert len(scope.rows) == 130 + 120
    assert len((await scope.score(query(), most=1000)).entry_ids) == 170


async def test_who_has_written_nothing_new_is_not_read_again(
    store: VectorStore, collection: Collection
) -> None:
    cache, owner = ScopeCache(store, ROOM), Owner(store, collection, 1)
    written = await owner.add(20)
    await cache.scope(collection, 1, owner.newest, owner.load)
    del owner.pieces[written[-1]]
    cache.forget(1, written[-1:])
    again = await cache.scope(collection, 1, owner.newest, owner.load)
    assert (len(again.rows), len(owner.asked)) == (19, 1)
    late = owner.new_ids(1)
    lacking = await cache.scope(collection, 1, owner.newest, owner.load)
    assert (lacking.lacking.tolist(), len(owner.asked)) == (late, 2)
    await cache.scope(collection, 1, owner.newest, owner.load)
    assert len(owner.asked) == 3


async def test_an_owner_without_entries_finds_nothing(store: VectorStore, collection: Collection) -> None:
    nobody = Owner(store, collection, 3)
    scope = await ScopeCache(store, ROOM).scope(collection, 3, nobody.newest, nobody.load)
    assert len((await scope.score(query(), most=5)).entry_ids) == 0


async def test_one_loads_at_a_time_and_readers_of_a_warm_scope_do_not_wait(
    store: VectorStore, collection: Collection
) -> None:
    cache = ScopeCache(store, ROOM)
    owner = Owner(store, collection, 1)
    await owner.add(20)
    owner.gate.clear()
    cold = [asyncio.create_task(cache.scope(collection, 1, owner.newest, owner.load)) for _ in range(5)]
    await owner.began.wait()
    cold[0].cancel()
    owner.gate.set()
    given = await asyncio.gather(*cold[1:])
    assert owner.asked == [-1]
    assert {len(scope.rows) for scope in given} == {20}

    added = await owner.add(5)
    owner.gate.clear()
    owner.began.clear()
    loading = asyncio.create_task(cache.scope(collection, 1, owner.newest, owner.load))
    await owner.began.wait()
    assert len((await cache.scope(collection, 1, owner.newest, owner.load)).rows) == 20
    cache.forget(1, added[:2])
    owner.gate.set()
    assert len((await loading).rows) == 23


async def test_memory_is_bounded_and_who_searched_longest_ago_is_dropped(
    store: VectorStore, collection: Collection
) -> None:
    owners = [Owner(store, collection, number) for number in range(1, 5)]
    for owner in owners:
        await owner.add(300)
    vectors_alone = 300 * DIMENSION * 4
    cache = ScopeCache(store, int(vectors_alone * 3.9))
    for owner in owners:
        scope = await cache.scope(collection, owner.number, owner.newest, owner.load)
        # At 384 dimensions, what is not vectors is a twelfth of what it is here.
        assert sum(block.space.nbytes for block in scope.blocks or ()) <= 1.07 * vectors_alone
    assert cache.nbytes <= vectors_alone * 3.9
    for owner in reversed(owners):
        await cache.scope(collection, owner.number, owner.newest, owner.load)
    assert owners[-1].asked == [-1]
    assert owners[0].asked == [-1, -1]


async def test_growing_by_a_few_rows_copies_no_more_than_a_block(
    store: VectorStore, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "BLOCK_ROWS", 64)
    cache = ScopeCache(store, ROOM)
    owner = Owner(store, collection, 1)
    await owner.add(250)
    before = await cache.scope(collection, 1, owner.newest, owner.load)
    await owner.add(1)
    after = await cache.scope(collection, 1, owner.newest, owner.load)
    assert before.blocks is not None
    assert after.blocks is not None
    assert [a.space is b.space for a, b in zip(before.blocks, after.blocks, strict=True)][:-1] == [True] * 3
    assert len(after.rows) == 251


async def test_a_scope_too_big_for_memory_is_answered_out_of_the_whole_index(
    store: VectorStore, collection: Collection
) -> None:
    cache = ScopeCache(store, 1000 * DIMENSION * 4)
    mine, other = Owner(store, collection, 1), Owner(store, collection, 2)
    await other.add(250)
    await mine.add(400, pieces=3)
    scope = await cache.scope(collection, 1, mine.newest, mine.load)
    assert not scope.exact
    found = await scope.score(query(), most=20)
    expected = mine.expected(query(), 20)
    assert set(found.entry_ids.tolist()) <= set(mine.pieces)
    assert len(set(found.entry_ids.tolist()) & set(expected.entry_ids.tolist())) >= 18
    mask = scope.rows.thread_numbers == 3
    masked = await scope.score(query(), mask, most=5)
    hidden = frozenset(scope.rows.entry_ids[~mask].tolist())
    assert_same(masked, mine.expected(query(), 5, hidden))
    cache.forget(1, found.entry_ids.tolist())
    again = await cache.scope(collection, 1, mine.newest, mine.load)
    assert not set((await again.score(query(), most=20)).entry_ids.tolist()) & set(found.entry_ids.tolist())


async def test_a_warm_scope_outlives_its_collection_and_says_what_it_lacks(
    store: VectorStore, collection: Collection
) -> None:
    cache = ScopeCache(store, ROOM)
    owner = Owner(store, collection, 1)
    await owner.add(10)
    await cache.scope(collection, 1, owner.newest, owner.load)
    added = await owner.add(2)
    await store.drop(collection)
    scope = await cache.scope(collection, 1, owner.newest, owner.load)
    assert scope.lacking.tolist() == added
    assert len((await scope.score(query(), most=50)).entry_ids) == 10
    with pytest.raises(VectorStoreUnavailable):
        await ScopeCache(store, ROOM).scope(collection, 1, owner.newest, owner.load)
