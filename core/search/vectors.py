"""The vectors of all pieces of text: kept by Chroma in a directory or on a server, given by id.

Chroma knows nothing of owners or of what may be seen; that is SQL's. Nothing here waits on the event loop.
"""

import asyncio
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import SettingsError, Unavailable
from core.logs import get_logger
from core.search.chroma_process import ChromaFailed, ChromaProcess
from core.search.embedding_prefixes import VectorModel
from core.settings import Settings

_logger = get_logger(__name__)

# Chroma works on one operation at a time: a search waits for no more than one of these (50 ms, 20 ms).
WRITTEN_AT_ONCE: Final = 128
READ_AT_ONCE: Final = 512
# Chroma saves its index after so many writes, and applies those since anew when it opens: 3 s at most.
SAVED_AFTER: Final = 10_000
_OPERATION_SECONDS = 60

_WORDS = {
    "unreachable": "The vector store does not answer; searching by meaning comes back when it does",
    "full": "The disk of the vector store is full; searching by meaning comes back when there is space",
    "damaged": "The vector store cannot be read; move its directory away and run `gwp-chat reindex`",
    "missing": "The vectors of this model are gone; run `gwp-chat reindex`",
    "locked": "Another process works on the directory of the vector store; stop it first",
    "denied": "The directory of the vector store cannot be used",
    "stopped": "The vector store stopped in the middle of its work; try again",
    "slow": "The vector store takes too long; try again",
    "closed": "The vector store is closed",
}
_FAILED = "The vector store failed; try again"


class VectorStoreUnavailable(Unavailable):
    """Vectors could be neither stored nor read; the store recovers by itself when its cause is gone."""

    code = "VECTOR_STORE_UNAVAILABLE"

    def __init__(self, kind: str) -> None:
        super().__init__(_WORDS.get(kind, _FAILED))
        self.kind = kind


class DirectoryTaken(SettingsError):
    """Another process has the directory."""


class VectorsMissing(VectorStoreUnavailable):
    """The whole collection is gone, as with a new disk: only indexing anew brings it back."""


@dataclass(frozen=True, slots=True)
class Collection:
    """The vectors that one model made; those of another one, or of another prefix, never mix with them."""

    name: str
    model: VectorModel
    dimension: int

    @classmethod
    def new(cls, model: VectorModel, dimension: int) -> Self:
        """One that nobody else has, be it on a Chroma server that is shared, or of the same model.

        Its name keeps to Chroma's rules: at most 63 of `a-z0-9-`.
        """
        slug = re.sub(r"[^a-z0-9]+", "-", model.name.lower())[:36].strip("-") or "model"
        return cls(f"{slug}-{dimension}-{secrets.token_hex(6)}", model, dimension)


@dataclass(frozen=True, slots=True)
class PieceIds:
    """Pieces of entries, one a row: a vector belongs to an entry's id and the number of a piece of it."""

    entries: NDArray[np.int64]
    pieces: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.entries)

    def batches(self, size: int) -> Iterator[tuple[slice, "PieceIds"]]:
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield part, PieceIds(self.entries[part], self.pieces[part])


class VectorStore:
    """Chroma in a process of its own, which is started again whenever it has ended.

    Every method raises `VectorStoreUnavailable` while Chroma fails, and works again when it does.
    """

    def __init__(self, settings: Settings) -> None:
        directory = settings.chroma_persist_directory.resolve()
        self._is_url = settings.chroma_url is not None
        self._place = settings.chroma_url or str(directory)
        self._process: ChromaProcess | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Take the directory. Raises `DirectoryTaken`, or `SettingsError` if it cannot be used.

        A server that is down, or a damaged directory, is told by the first operation instead.
        """
        try:
            await self._started()
        except ChromaFailed as failed:
            if failed.kind == "locked":
                raise DirectoryTaken(
                    f"CHAT_CHROMA_PERSIST_DIRECTORY: another process is working on {self._place}, and two "
                    "would lose vectors; stop it first, or start a Chroma server for both and set "
                    "CHAT_CHROMA_URL"
                ) from None
            if failed.kind == "denied":
                raise SettingsError(
                    f"CHAT_CHROMA_PERSIST_DIRECTORY: {self._place} cannot be made or written"
                ) from None
            raise _unavailable(failed) from None

    async def close(self) -> None:
        """Finish what was asked for, then let go of the directory."""
        async with self._starting:
            self._closed = True
            process, self._process = self._process, None
            if process is not None:
                await process.end()

    async def create(self, collection: Collection) -> None:
        """Make the collection if it is not there."""
        await self._ask("create", collection.name, collection.model.name, collection.dimension, SAVED_AFTER)

    async def drop(self, collection: Collection) -> None:
        """Remove a collection and its vectors; one that is not there is no error."""
        await self._ask("drop", collection.name)

    async def add(self, collection: Collection, ids: PieceIds, vectors: NDArray[np.float32]) -> None:
        """Store normalised vectors, row by row, durably; those stored before under these ids are replaced.

        Raises `ValueError` for vectors of a wrong shape, or that are not finite.
        """
        if vectors.shape != (len(ids), collection.dimension) or not np.isfinite(vectors).all():
            raise ValueError(f"not {len(ids)} finite vectors of {collection.dimension}: {vectors.shape}")
        for part, some in ids.batches(WRITTEN_AT_ONCE):
            await self._ask("add", collection.name, some.entries, some.pieces, vectors[part])

    async def get(
        self, collection: Collection, ids: PieceIds
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Which rows of `ids` were found, ascending; and their vectors, in the same order."""
        rows = [np.empty(0, dtype=np.intp)]
        vectors = [np.empty((0, collection.dimension), dtype=np.float32)]
        for part, some in ids.batches(READ_AT_ONCE):
            found, data = await self._ask("get", collection.name, some.entries, some.pieces)
            rows.append(np.array(found, dtype=np.intp) + part.start)
            vectors.append(np.frombuffer(data, dtype=np.float32).reshape(-1, collection.dimension))
        return np.concatenate(rows), np.concatenate(vectors)

    async def delete(self, collection: Collection, ids: PieceIds) -> None:
        """Remove vectors; ids that are not there are no error."""
        for _, some in ids.batches(READ_AT_ONCE):
            await self._ask("delete", collection.name, some.entries, some.pieces)

    async def nearest(
        self, collection: Collection, vector: NDArray[np.float32], most: int
    ) -> tuple[PieceIds, NDArray[np.float32]]:
        """About the `most` nearest of the whole collection, whoever's they are; and cosine similarities."""
        entries, pieces, similarities = await self._ask("nearest", collection.name, vector, most)
        ids = PieceIds(np.array(entries, dtype=np.int64), np.array(pieces, dtype=np.int32))
        return ids, np.array(similarities, dtype=np.float32)

    async def _ask(self, operation: str, *arguments: object) -> Any:
        try:
            try:
                return await self._ask_once(operation, arguments)
            except ChromaFailed as failed:
                if failed.kind != "stopped":
                    raise
                return await self._ask_once(operation, arguments)  # of a new process
        except ChromaFailed as failed:
            raise _unavailable(failed) from None

    async def _ask_once(self, operation: str, arguments: tuple[object, ...]) -> Any:
        process = await self._started()
        try:
            async with asyncio.timeout(_OPERATION_SECONDS):
                return await process.ask(operation, arguments)
        except TimeoutError:
            process.kill()
            _logger.warning("vector store is slow", operation=operation, seconds=_OPERATION_SECONDS)
            raise ChromaFailed("slow") from None

    async def _started(self) -> ChromaProcess:
        async with self._starting:
            if self._closed:
                raise ChromaFailed("closed")
            if self._process is None or self._process.ended:
                ended, self._process = self._process, None
                if ended is not None:
                    await ended.end()
                process = ChromaProcess()
                try:
                    await process.start(self._place, is_url=self._is_url)
                except BaseException:
                    await asyncio.shield(process.end())
                    raise
                self._process = process
            return self._process


def _unavailable(failed: ChromaFailed) -> VectorStoreUnavailable:
    return (VectorsMissing if failed.kind == "missing" else VectorStoreUnavailable)(failed.kind)
