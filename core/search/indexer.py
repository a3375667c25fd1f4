"""Keeps the index up to date with the rows: two loops that find what is behind, and never forget it.

Texts and patterns need no model, so the first loop goes on while embeddings or vectors are not to be had.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.db.session import Database
from core.errors import Unavailable
from core.logs import get_logger
from core.search.embedding_loop import EmbeddingLoop
from core.search.entries import has_unindexed, index_texts
from core.signals import Signals, texts_topic

# Rows that come from elsewhere, such as an import, are noticed without a signal.
POLL_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_PATIENCE_SECONDS = 20

_logger = get_logger(__name__)


class Indexer:
    """The loops of one process."""

    def __init__(self, db: Database, signals: Signals, vectors: EmbeddingLoop) -> None:
        self._db = db
        self._signals = signals
        self._vectors = vectors
        self._has_entries = asyncio.Event()
        # Why vectors are not kept up to date; None while they are.
        self.trouble: str | None = None
        self._trouble_since = 0.0
        self._is_logged = False

    async def run(self) -> None:
        """Index until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._index_texts(), name="index-texts")
            loops.create_task(self._index_vectors(), name="index-vectors")

    def look_again(self) -> None:
        """Look at once for what has no vectors."""
        self._has_entries.set()

    async def _index_texts(self) -> None:
        with self._signals.listen(texts_topic()) as listener:
            while True:
                await self._repeat(self._index_some_texts)
                await listener.wait(POLL_SECONDS)

    async def _index_vectors(self) -> None:
        while True:
            await self._repeat(self._vectors.index_some, self._told)
            self._told(None)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._has_entries.wait()
            self._has_entries.clear()

    async def _index_some_texts(self) -> bool:
        # Looking first: an idle server must not take the write lock again and again.
        if not await self._db.read(has_unindexed):
            return False
        await self._db.write(index_texts)
        self._has_entries.set()
        return True

    async def _repeat(
        self, work: Callable[[], Awaitable[bool]], told: Callable[[str], None] = lambda _trouble: None
    ) -> None:
        """Do the work until nothing is left, however long what it needs is out of reach: `told` hears why."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not await work():
                    return
                pause = _FIRST_PAUSE
                continue
            except Unavailable as error:
                told(str(error))
            except Exception:
                # A fault of ours with one batch must neither end indexing for good nor fill the log.
                _logger.exception("internal error in the search index")
                pause = _LONGEST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _told(self, trouble: str | None) -> None:
        """Keep what is wrong; the log hears of it once it lasts, as a model may come up beside the server."""
        now = time.monotonic()
        if self.trouble is None:
            self._trouble_since = now
        self.trouble = trouble
        if trouble is None and self._is_logged:
            _logger.info("search by meaning works again")
            self._is_logged = False
        elif trouble is not None and not self._is_logged and now - self._trouble_since > _PATIENCE_SECONDS:
            _logger.warning("search by meaning does not work", reason=trouble)
            self._is_logged = True
