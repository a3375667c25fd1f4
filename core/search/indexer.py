"""Keeps the index up to date with the rows: two loops that find what is behind, and never forget it.

Texts and patterns need no model, so the first loop goes on while embeddings or vectors are not to be had.
"""

import asyncio

from core.db.session import Database
from core.search.embedding_loop import EmbeddingLoop
from core.search.entries import has_unindexed, index_texts
from core.search.retries import RetriedWork
from core.search.text_rebuild import is_rebuilding, rebuild_some
from core.signals import Signals, entries_topic, texts_topic

# Rows that come from elsewhere, such as an import, are noticed without a signal.
POLL_SECONDS = 5.0
# A process that could not give vectors asks to do it again only after every other has been able to.
AFTER_OTHERS_SECONDS = POLL_SECONDS + 1


class Indexer:
    """The loops of one process."""

    def __init__(
        self,
        db: Database,
        signals: Signals,
        vectors: EmbeddingLoop,
        first_pause: float,
        *,
        is_indexing: bool,
    ) -> None:
        self._is_indexing = is_indexing
        self._db = db
        self._signals = signals
        self._texts = RetriedWork("texts", self._index_some_texts)
        work = vectors.index_some if is_indexing else vectors.look_on
        self._vectors = RetriedWork("vectors", work, first_pause)

    @property
    def trouble(self) -> str | None:
        """Why the index is not kept up to date; None while it is."""
        return self._texts.trouble or self._vectors.trouble

    async def run(self) -> None:
        """Index until cancelled."""
        async with asyncio.TaskGroup() as loops:
            if self._is_indexing:
                loops.create_task(self._index_texts(), name="index-texts")
            loops.create_task(self._index_vectors(), name="index-vectors")

    def look_again(self) -> None:
        """Have the process that gives vectors look at once for what has none."""
        self._signals.publish(entries_topic())

    async def _index_texts(self) -> None:
        with self._signals.listen(texts_topic()) as listener:
            while True:
                await self._texts.catch_up()
                await listener.wait(POLL_SECONDS)

    async def _index_vectors(self) -> None:
        with self._signals.listen(entries_topic()) as listener:
            while True:
                await self._vectors.catch_up()
                await listener.wait(POLL_SECONDS)

    async def _index_some_texts(self) -> bool:
        # Looking first: an idle server must not take the write lock again and again.
        if await self._db.read(has_unindexed) and await self._db.write(index_texts) > 0:
            self.look_again()
            return True
        return await self._db.read(is_rebuilding) and await self._db.write(rebuild_some)
