"""The second half of indexing: entries get vectors, in the collection that answers searches or will."""

import asyncio
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from core.db.session import Database
from core.logs import get_logger
from core.search.collections import (
    NumberedCollection,
    add_collection,
    is_empty,
    live_collection,
    replace_lost,
    take_over,
    target_collection,
)
from core.search.embedding import Embedder
from core.search.embedding_errors import PassagesRefused
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

_logger = get_logger(__name__)


class EmbeddingLoop:
    """One batch after the other; all that is remembered between them can be read from the database."""

    def __init__(self, db: Database, embedder: Embedder, vectors: VectorStore) -> None:
        self._db = db
        self._embedder = embedder
        self._vectors = vectors
        self._target: NumberedCollection | None = None
        self._replacing = asyncio.Lock()
        # What is similar to nothing; None until the model has worked for the first time.
        self.noise: Noise | None = None

    async def index_some(self) -> bool:
        """Whether there was anything to do. Raises `Unavailable` of the model, the vectors, the database."""
        target = self._target
        if target is None:
            # Whether the model can be loaded is to be known before somebody searches.
            self.noise, dimension = await measured(self._embedder)
            target = await self._choose_target(dimension)
        await self._forget_discarded()
        waiting = await self._db.read(lambda session: waiting_entries(session, target.number))
        if waiting:
            try:
                await self._index(*await asyncio.to_thread(_pieces, waiting, self._embedder.piece_tokens))
            except VectorsMissing:
                await self.replace(target)
            return True
        await self._take_over(target)
        return await self._is_to_be_rebuilt(target)

    async def replace(self, lost: NumberedCollection) -> None:
        """Fill another collection in place of this one, whose vectors are gone; done once for all who ask."""
        async with self._replacing:
            if await self._db.read(live_collection) != lost and self._target != lost:
                return
            _logger.warning("vectors are gone: all texts are embedded anew", collection=lost.collection.name)
            collection = Collection.new(lost.collection.model, lost.collection.dimension)
            await self._vectors.create(collection)
            self._target = await self._db.write(lambda session: replace_lost(session, lost, collection))

    async def _choose_target(self, dimension: int) -> NumberedCollection:
        """The collection to fill: the newest of this model, made if there is none."""
        model = self._embedder.model
        target = await self._db.read(lambda session: target_collection(session, model, dimension))
        if target is None:
            collection = Collection.new(model, dimension)
            target = await self._db.write(lambda session: add_collection(session, collection))
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

    async def _index(self, counts: dict[int, int], texts: list[str]) -> None:
        vectors = await self._embed(texts)
        target, dimension = self._target, vectors.shape[1]
        if target is None or target.collection.dimension != dimension:  # another model goes by this name now
            target = await self._choose_target(dimension)
        ids = _ids(counts)
        await self._vectors.add(target.collection, ids, vectors)
        gone = await self._db.write(lambda session: mark_embedded(session, target.number, counts))
        if gone:  # changed while they were embedded
            await self._vectors.delete(target.collection, _ids({entry: counts[entry] for entry in gone}))

    async def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        try:
            return await self._embedder.embed_passages(texts)
        except PassagesRefused as error:
            # Rows of zeros are similar to nothing, and keep the numbers of the other pieces right.
            _logger.warning("the embedding model refuses texts", count=len(error.refused))
            return error.vectors

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
            ids = _ids({entry.entry_id: entry.pieces for entry in discarded})
            live = await self._db.read(live_collection)
            collections = {each.collection for each in (live, self._target) if each is not None}
            for collection in collections if len(ids) else ():
                with suppress(VectorsMissing):  # then there is nothing to remove
                    await self._vectors.delete(collection, ids)
            gone = [entry.entry_id for entry in discarded]
            await self._db.write(lambda session, gone=gone: forget_discarded(session, gone))  # type: ignore[misc]


def _pieces(waiting: list[Waiting], max_tokens: int) -> tuple[dict[int, int], list[str]]:
    """How many pieces each entry has, and all of their texts: of as many entries as a batch holds."""
    counts: dict[int, int] = {}
    texts: list[str] = []
    for entry in waiting:
        pieces = cut(entry.text, max_tokens)
        if texts and len(texts) + len(pieces) > _MOST_PIECES:
            break
        counts[entry.entry_id] = len(pieces)
        texts += [entry.text[piece.start : piece.end] for piece in pieces]
    return counts, texts


def _ids(counts: dict[int, int]) -> PieceIds:
    entries = np.repeat(np.fromiter(counts, dtype=np.int64), list(counts.values()))
    pieces = [np.arange(count, dtype=np.int32) for count in counts.values()]
    return PieceIds(entries, np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32))
