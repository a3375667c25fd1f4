"""The search index of one process: its parts, kept up to date, and how it is."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from core.db.leadership import Leadership
from core.db.session import Database
from core.search.collections import NumberedCollection
from core.search.embedding import Embedder, Embedders
from core.search.embedding_loop import EmbeddingLoop
from core.search.embedding_prefixes import VectorModel
from core.search.indexer import AFTER_OTHERS_SECONDS, Indexer
from core.search.noise import Noise
from core.search.retries import FIRST_PAUSE_SECONDS
from core.search.scopes import ScopeCache
from core.search.vectors import VectorStore, VectorStoreUnavailable
from core.settings import Settings
from core.signals import Signals

# Beside those of migrations and of serving.
VECTORS_LOCK = 0x67777065


@dataclass(frozen=True, slots=True)
class SearchHealth:
    """Whether vectors are kept up to date; if not, why, in words for operators."""

    model: str
    trouble: str | None


class SearchIndex:
    """What searches ask. It goes without a model, or without vectors, and says so.

    One that is not `is_indexing` leaves it to other processes to keep it up to date.
    """

    def __init__(self, settings: Settings, db: Database, signals: Signals, *, is_indexing: bool) -> None:
        self._embedders = Embedders(settings)
        self.embedder: Embedder = self._embedders.current
        self.vectors = VectorStore(settings)
        self.scopes = ScopeCache(self.vectors, settings.search_cache_bytes)
        self._leadership = Leadership(settings.database_url, VECTORS_LOCK)
        self._embedding = EmbeddingLoop(db, self._embedders, self.vectors, self._leadership)
        pause = AFTER_OTHERS_SECONDS if settings.is_one_of_many else FIRST_PAUSE_SECONDS
        self._indexer = Indexer(db, signals, self._embedding, pause, is_indexing=is_indexing)
        self._is_indexing = is_indexing
        self._is_enabled = settings.search_enabled
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Index from now on. Raises `SettingsError` if another process has the directory of vectors."""
        if self._is_enabled:
            with suppress(VectorStoreUnavailable):  # which the indexer will tell of
                await self.vectors.open()
            self._task = asyncio.create_task(self._indexer.run(), name="indexer")

    async def close(self) -> None:
        """Stop indexing, and let go of model and vectors; what is not indexed yet is found the next time."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._embedders.close()
        await self.vectors.close()
        await asyncio.to_thread(self._leadership.close)

    async def replace(self, lost: NumberedCollection) -> None:
        """Have everything embedded again, here or elsewhere: the vectors of this collection are gone."""
        if self._is_indexing:
            await self._embedding.replace(lost)
        self._indexer.look_again()

    def embedder_of(self, model: VectorModel) -> Embedder:
        """What embeds a query for the vectors of this model: of the one that is set, or of the one before."""
        return self._embedders.of(model)

    def noise_of(self, model: VectorModel) -> Noise | None:
        """What the model finds in texts that have nothing in common; None while that is not known."""
        is_set = model.makes_same_passages_as(self.embedder.vector_model)
        return self._embedding.noise if is_set else None

    @property
    def health(self) -> SearchHealth:
        """How the index is now."""
        return SearchHealth(self.embedder.model, self._indexer.trouble)
