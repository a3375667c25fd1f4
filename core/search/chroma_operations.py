"""What may be asked of Chroma, in the process that holds it: importing this takes a second and 60 MB."""

import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import chromadb
import numpy as np
from chromadb.api import ClientAPI
from chromadb.api.collection_configuration import CreateHNSWConfiguration
from chromadb.config import Settings
from chromadb.errors import NotFoundError
from numpy.typing import NDArray

from core.search.chroma_copies import IndexCopies

# Half of Chroma's defaults: writes cost half, links take 4 % of the vectors' bytes instead of 9. What the
# sparser graph loses is found again by the wider search, which only scopes too wide for memory ever use.
_HNSW: CreateHNSWConfiguration = {
    "space": "ip",
    "max_neighbors": 8,
    "ef_construction": 40,
    "ef_search": 200,
}

_DAMAGE = ("malformed", "not a database", "panic", "corrupt", "hnsw", "pickle")

_Entries = NDArray[np.int64]
_Pieces = NDArray[np.int32]


class ChromaOperations:
    """Plain values and arrays in, plain values and arrays out. Each may be repeated without harm."""

    def __init__(self, place: str, *, is_url: bool) -> None:
        self._place = place
        self._client: ClientAPI | None = None
        self._collections: dict[str, chromadb.Collection] = {}
        self._opening = threading.Lock()
        self._copies = None if is_url else IndexCopies(Path(place))

    def attempt(self, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Do it, and once more if that may help."""
        work: Callable[..., Any] = getattr(self, operation)
        try:
            return work(*arguments)
        except NotFoundError:  # dropped, perhaps made again, by somebody else
            self._collections.clear()
        except Exception:
            if self._copies is not None:
                raise
            self.close()  # a connection that the server has closed long ago, say
        return work(*arguments)

    @staticmethod
    def failure_kind(error: BaseException) -> str:
        """What has happened to Chroma, in one of the words that `core.search.vectors` has sentences for."""
        text = f"{type(error).__name__}: {error}".lower()
        if isinstance(error, NotFoundError):
            return "missing"
        if "database or disk is full" in text or "no space left" in text:
            return "full"
        if any(word in text for word in _DAMAGE):
            return "damaged"
        if type(error).__module__.startswith("httpx") or "could not connect" in text:
            return "unreachable"
        return "failed"

    def create(self, name: str, model: str, dimension: int, saved_after: int) -> None:
        self._collections[name] = self._connected().get_or_create_collection(
            name,
            configuration={"hnsw": {**_HNSW, "sync_threshold": saved_after}},
            metadata={"gwp_chat_model": model, "dimension": dimension},
            embedding_function=None,
        )

    def drop(self, name: str) -> None:
        self._collections.pop(name, None)
        with suppress(NotFoundError):
            self._connected().delete_collection(name)
        self._written()

    def add(self, name: str, entries: _Entries, pieces: _Pieces, vectors: NDArray[np.float32]) -> None:
        self._collection(name).upsert(ids=_ids(entries, pieces), embeddings=vectors)
        self._written()

    def delete(self, name: str, entries: _Entries, pieces: _Pieces) -> None:
        self._collection(name).delete(ids=_ids(entries, pieces))
        self._written()

    def get(self, name: str, entries: _Entries, pieces: _Pieces) -> tuple[list[int], bytes]:
        """The places, in what was asked for, of what was found; and its vectors, in the same order."""
        collection = self._collection(name)
        places = {each: place for place, each in enumerate(_ids(entries, pieces))}
        # Past `Collection.get`, which makes an array of Python's floats in three times the time.
        answer = collection._client._get(  # noqa: SLF001
            collection_id=collection.id,
            ids=list(places),
            include=["embeddings"],
            tenant=collection.tenant,
            database=collection.database,
        )
        rows = cast("Sequence[Sequence[float]]", answer["embeddings"] or [])
        found = sorted(zip((places[each] for each in answer["ids"]), rows, strict=True))
        packed = struct.Struct(f"{len(rows[0]) if rows else 0}f")
        return [place for place, _ in found], b"".join(packed.pack(*row) for _, row in found)

    def nearest(
        self, name: str, vector: NDArray[np.float32], most: int
    ) -> tuple[list[int], list[int], list[float]]:
        """Entry ids, pieces and similarities, the best first."""
        answer = self._collection(name).query(
            query_embeddings=vector[np.newaxis], n_results=most, include=["distances"]
        )
        split = [each.partition(":") for each in answer["ids"][0]]
        distances = answer["distances"]
        return (
            [int(entry) for entry, _, _ in split],
            [int(piece) for _, _, piece in split],
            [1 - distance for distance in distances[0]] if distances else [],
        )

    def close(self) -> None:
        """Close Chroma; the next operation opens it anew."""
        with self._opening:
            client, self._client = self._client, None
            self._collections.clear()
        if client is not None:
            client.close()  # type: ignore[attr-defined] # every client has it, the interface has not
            if self._copies is not None:
                self._copies.end()

    def _written(self) -> None:
        if self._copies is not None:
            self._copies.keep()

    def _connected(self) -> ClientAPI:
        with self._opening:
            if self._client is None:
                quiet = Settings(anonymized_telemetry=False)
                if self._copies is None:
                    self._client = chromadb.HttpClient(self._place, settings=quiet)
                else:
                    self._copies.begin()
                    self._client = chromadb.PersistentClient(self._place, settings=quiet)
            return self._client

    def _collection(self, name: str) -> chromadb.Collection:
        client = self._connected()
        if name not in self._collections:
            self._collections[name] = client.get_collection(name, embedding_function=None)
        return self._collections[name]


def _ids(entries: _Entries, pieces: _Pieces) -> list[str]:
    return [f"{entry}:{piece}" for entry, piece in zip(entries.tolist(), pieces.tolist(), strict=True)]
