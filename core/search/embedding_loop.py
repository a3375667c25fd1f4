"""The second half of indexing: entries get vectors, in the collection that answers searches or will."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.db.leadership import Leadership
from core.db.session import Database
from core.logs import get_logger
from core.search.collections import (
    NumberedCollection,
    add_collection,
    adopt,
    give_up_lost,
    is_empty,
    live_collection,
    replace_lost,
    return_to,
    take_over,
    target_collection,
)
from core.search.embedding import Embedder, Embedders
from core.search.embedding_errors import EmbeddingUnavailable, PassagesRefused
from core.search.embedding_queue import (
    Waiting,
    discarded_entries,
    forget_discarded,
    mark_embedded,
    waiting_entries,
)
from core.search.noise import Noise, measured
from core.search.pieces import cut
from core.search.vectors import Collection, PieceIds, VectorsMissing, VectorStore

# Given to the model in one go: what is written meanwhile waits for about so many pieces.
_MOST_PIECES = 64
# No entry has it: asking for it tells whether the collection can be read.
_NO_ENTRY: Final = PieceIds(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int32))

_Vectors = NDArray[np.float32]

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Entries with their pieces: how many, the texts of all, and how many the entries had before."""

    counts: dict[int, int]
    texts: list[str]
    before: dict[int, int]


class EmbeddingLoop:
    """One batch after the other; all that is remembered between them can be read from the database."""

    def __init__(
        self, db: Database, embedders: Embedders, vectors: VectorStore, leadership: Leadership
    ) -> None:
        self._leadership = leadership
        self._db = db
        self._embedders = embedders
        self._embedder = embedders.current
        self._vectors = vectors
        # Chosen while this process led for the so manieth time; another may have led since.
        self._target: NumberedCollection | None = None
        self._term = 0
        self._replacing = asyncio.Lock()
        # What is similar to nothing; None until the model has worked for the first time.
        self.noise: Noise | None = None

    async def index_some(self) -> bool:
        """Whether there was anything to do. Raises `Unavailable` of the model, the vectors, the database.

        Whatever it raises, another process leads then, if there is one: it may reach what this one does not.
        """
        if not await asyncio.to_thread(self._leadership.is_held):
            return await self.look_on()
        try:
            return await self._lead()
        except BaseException:  # a stray cancellation, too
            await asyncio.to_thread(self._leadership.release)
            raise

    async def _lead(self) -> bool:
        if self._term != self._leadership.term:
            self._target, self._term = None, self._leadership.term
        target = self._target
        if target is None:
            # Whether the model can be loaded is to be known before somebody searches.
            self.noise, dimension = await measured(self._embedder)
            target = await self._choose_target(dimension)
        await self._forget_discarded()
        if not await self._is_there(target):
            return True
        waiting = await self._db.read(lambda session: waiting_entries(session, target.number))
        if waiting:
            try:
                await self._index(await asyncio.to_thread(_batch, waiting, self._embedder.piece_tokens))
            except VectorsMissing:  # lost just now
                await self.replace(target)
            return True
        await self._take_over(target)
        return await self._is_to_be_rebuilt(target)

    async def _is_there(self, target: NumberedCollection) -> bool:
        """Whether vectors can be read, those that answer meanwhile too; what is lost is replaced."""
        live = await self._db.read(live_collection)
        for each in (target,) if live is None or live.number == target.number else (target, live):
            try:
                await self._vectors.get(each.collection, _NO_ENTRY)
            except VectorsMissing:
                await self.replace(each)
                return False
        return True

    async def look_on(self) -> bool:
        """While others give vectors: know what a search needs, and whether it can be had."""
        if self.noise is None:
            self.noise, _ = await measured(self._embedder)
        live = await self._db.read(live_collection)
        if live is not None:
            with suppress(VectorsMissing):  # which the other process finds out, too
                await self._vectors.get(live.collection, _NO_ENTRY)
        return False

    async def replace(self, lost: NumberedCollection) -> None:
        """Fill another collection in place of this one, whose vectors are gone; done once for all who ask."""
        async with self._replacing:
            if not self._leadership.is_known_to_be_held:
                return
            used = (await self._db.read(live_collection), self._target)
            if lost.number not in {each.number for each in used if each is not None}:
                return
            _logger.warning("vectors are gone: all texts are embedded anew", collection=lost.collection.name)
            model, dimension = self._embedder.vector_model, lost.collection.dimension
            if not lost.can_hold(model, dimension):  # that of the model which is set now takes its place
                await self._db.write(lambda session: give_up_lost(session, lost))
                return
            collection = Collection.new(model, dimension)
            await self._vectors.create(collection)
            self._target = await self._db.write(lambda session: replace_lost(session, lost, collection))

    async def _choose_target(self, dimension: int) -> NumberedCollection:
        """The collection to fill: one of this model, made if there is none."""
        model = self._embedder.vector_model
        await self._db.write(lambda session: adopt(session, model))
        target = await self._db.read(lambda session: target_collection(session, model, dimension))
        if target is None:
            collection = Collection.new(model, dimension)
            target = await self._db.write(lambda session: add_collection(session, collection))
        number = target.number
        await self._db.write(lambda session: return_to(session, number))
        return await self._begin_with(target)

    async def _begin_with(self, target: NumberedCollection) -> NumberedCollection:
        """Fill this collection from now on; one that `gwp-chat reindex` added is only noted so far."""
        if await self._db.read(lambda session: is_empty(session, target.number)):
            await self._vectors.create(target.collection)
        self._target = target
        return target

    async def _is_to_be_rebuilt(self, target: NumberedCollection) -> bool:
        """Whether `gwp-chat reindex` added another collection of this model, which is the target then."""
        model, dimension = target.collection.model, target.collection.dimension
        newest = await self._db.read(lambda session: target_collection(session, model, dimension))
        if newest is None or newest.number <= target.number:
            return False
        await self._begin_with(newest)
        return True

    async def _index(self, batch: _Batch) -> None:
        vectors = await _embedded(self._embedder, batch.texts)
        target, dimension = self._target, vectors.shape[1]
        if target is None or target.collection.dimension != dimension:  # another model goes by this name now
            target = await self._choose_target(dimension)
        # As many as before, so that they are right for the collection that answers meanwhile, too.
        counts = {entry: max(count, batch.before[entry]) for entry, count in batch.counts.items()}
        await self._vectors.add(target.collection, _ids(counts), _padded(vectors, batch.counts, counts))
        live = await self._db.read(live_collection)
        first = target.number
        if live is not None and live.number != target.number:
            with suppress(VectorsMissing):  # which is found out before the next batch
                first = await self._keep_whole(live, batch, counts) or target.number
        gone = await self._db.write(lambda session: mark_embedded(session, target.number, counts, first))
        if gone:  # changed while they were embedded
            await self._delete(_ids({entry: counts[entry] for entry in gone}))

    async def _keep_whole(
        self, live: NumberedCollection, batch: _Batch, counts: dict[int, int]
    ) -> int | None:
        """Let the collection that answers have what is new, too, and all pieces; its number once it has.

        What is new only with the model that is set: that of before may be no more to be had.
        """
        held = live.collection
        grown = {entry: count for entry, count in counts.items() if count > batch.before[entry] > 0}
        if grown:
            pieces = _ids(grown, batch.before)
            await self._vectors.add(held, pieces, np.zeros((len(pieces), held.dimension), np.float32))
        new = any(not before for before in batch.before.values())
        if not new or held.model.name != self._embedder.model:
            return None
        try:
            vectors = await _embedded(self._embedders.of(held.model), batch.texts)
        except EmbeddingUnavailable:
            return None
        if vectors.shape[1] != held.dimension:
            return None
        await self._vectors.add(held, _ids(batch.counts), vectors)
        return live.number

    async def _take_over(self, target: NumberedCollection) -> None:
        """Let a collection that has become complete answer searches, and drop what it replaces."""
        live = await self._db.read(live_collection)
        if live is not None and live.number == target.number:
            return
        replaced = await self._db.write(lambda session: take_over(session, target.number))
        for collection in replaced or ():
            await self._vectors.drop(collection)

    async def _forget_discarded(self) -> None:
        while discarded := await self._db.read(discarded_entries):
            await self._delete(_ids({entry.entry_id: entry.pieces for entry in discarded}))
            gone = [entry.entry_id for entry in discarded]
            await self._db.write(lambda session, gone=gone: forget_discarded(session, gone))  # type: ignore[misc]

    async def _delete(self, ids: PieceIds) -> None:
        """Remove vectors from the collection that answers, and from that which is filled."""
        live = await self._db.read(live_collection)
        collections = {each.number: each.collection for each in (live, self._target) if each is not None}
        for collection in collections.values() if len(ids) else ():
            with suppress(VectorsMissing):  # then there is nothing to remove
                await self._vectors.delete(collection, ids)


async def _embedded(embedder: Embedder, texts: list[str]) -> _Vectors:
    try:
        return await embedder.embed_passages(texts)
    except PassagesRefused as error:
        # Rows of zeros are similar to nothing, and keep the numbers of the other pieces right.
        _logger.warning("the embedding model refuses texts", count=len(error.refused))
        return error.vectors


def _batch(waiting: list[Waiting], max_tokens: int) -> _Batch:
    """As many of the entries as a batch holds."""
    batch = _Batch({}, [], {})
    for entry in waiting:
        pieces = cut(entry.text, max_tokens)
        if batch.texts and len(batch.texts) + len(pieces) > _MOST_PIECES:
            break
        batch.counts[entry.entry_id], batch.before[entry.entry_id] = len(pieces), entry.pieces
        batch.texts.extend(entry.text[piece.start : piece.end] for piece in pieces)
    return batch


def _padded(vectors: _Vectors, counts: dict[int, int], wanted: dict[int, int]) -> _Vectors:
    """The same with rows of zeros where more pieces are wanted of an entry than there are."""
    if counts == wanted:
        return vectors
    padded = np.zeros((sum(wanted.values()), vectors.shape[1]), np.float32)
    row = place = 0
    for entry, count in counts.items():
        padded[place : place + count] = vectors[row : row + count]
        row, place = row + count, place + wanted[entry]
    return padded


def _ids(counts: dict[int, int], begin: dict[int, int] | None = None) -> PieceIds:
    """The pieces of these entries, so many each; but for the first ones, if it says how many."""
    ranges = {entry: np.arange(begin[entry] if begin else 0, count) for entry, count in counts.items()}
    entries = np.repeat(np.fromiter(ranges, dtype=np.int64), [len(each) for each in ranges.values()])
    pieces = [each.astype(np.int32) for each in ranges.values()]
    return PieceIds(entries, np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32))
