"""What search is measured against: Chroma's own filter by owner, and Python's `re` over every text."""

import re
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final

import chromadb
import numpy as np
from chromadb.api import ClientAPI
from chromadb.config import Settings

from bench.search_history import Owner
from bench.search_vectors import WordVectors

_ADDED_AT_ONCE: Final = 5_000
_READ_AT_ONCE: Final = 10_000
_HITS: Final = 20


def write_vectors(directory: Path, everyone: list[Owner]) -> None:
    """All messages in one collection as Chroma's guide has it: its defaults, and the owner as metadata."""
    shutil.rmtree(directory, ignore_errors=True)
    collection = _client(directory).create_collection("messages", embedding_function=None)
    vectors = WordVectors()
    texts = (
        (owner.number, text) for owner in everyone for thread in owner.threads() for text in thread.texts
    )
    batch: list[tuple[int, str]] = []
    written = 0
    for each in texts:
        batch.append(each)
        if len(batch) == _ADDED_AT_ONCE:
            written += _add(collection, vectors, batch, written)
            batch = []
    if batch:
        _add(collection, vectors, batch, written)


def filtered_queries(directory: Path, queries: list[tuple[int, str]]) -> list[float]:
    """Milliseconds of `query(where={"owner_id": …})`, for each owner's number and query."""
    collection = _client(directory).get_collection("messages", embedding_function=None)
    vectors = WordVectors()
    taken = []
    for number, query in queries:
        vector = vectors.of(query)[np.newaxis]
        began = time.perf_counter()
        collection.query(query_embeddings=vector, n_results=_HITS, where={"owner_id": number})
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def scan(file: Path, pattern: str) -> float:
    """Milliseconds that `re` takes for all texts, without reading them."""
    compiled = re.compile(pattern, re.IGNORECASE)
    seconds = 0.0
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        cursor = connection.execute("SELECT text FROM messages")
        while rows := cursor.fetchmany(_READ_AT_ONCE):
            began = time.perf_counter()
            sum(1 for (text,) in rows if compiled.search(text))
            seconds += time.perf_counter() - began
    return seconds * 1000


def _add(
    collection: chromadb.Collection, vectors: WordVectors, batch: list[tuple[int, str]], start: int
) -> int:
    collection.add(
        ids=[str(start + n) for n in range(len(batch))],
        embeddings=np.stack([vectors.of(text) for _, text in batch]),
        metadatas=[{"owner_id": number} for number, _ in batch],
    )
    return len(batch)


def _client(directory: Path) -> ClientAPI:
    return chromadb.PersistentClient(str(directory), settings=Settings(anonymized_telemetry=False))
