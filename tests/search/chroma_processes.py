"""Processes that tests of vectors start, stop and kill: a Chroma server, and one that writes vectors."""

import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

from tests.processes import end_with_parent, free_port

# What the command `chroma` does, without a second of imports that it does not need.
CHROMA = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(['chroma', *sys.argv[1:]])"


class ChromaServer:
    """`chroma run` on one free port, started and stopped as one likes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        place = ("--path", str(self._directory), "--host", "127.0.0.1", "--port", str(self._port))
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHROMA, "run", *place],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._directory,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
        ready: queue.Queue[bool] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(ready,))
        self._reader.start()
        assert ready.get(timeout=30)

    def _read(self, ready: queue.Queue[bool]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if "listening on address" in line:
                    ready.put(True)
        ready.put(False)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


WRITER = """
import asyncio, sys
import numpy as np
from core.search.embedding_prefixes import VectorModel
from core.search.vectors import Collection, PieceIds, VectorStore
from core.settings import Settings

async def write():
    store = VectorStore(Settings(_env_file=None, chroma_persist_directory=sys.argv[1]))
    await store.open()
    collection = Collection("killed", VectorModel("killed"), 16)
    await store.create(collection)
    for start in range(0, 64000, 64):
        ids = np.arange(start, start + 64)
        await store.add(collection, PieceIds(ids, ids % 3), np.repeat(ids[:, None], 16, 1).astype(np.float32))
        print(start + 64, flush=True)

asyncio.run(write())
"""


def write_until_killed(directory: Path) -> int:
    """How many vectors a process was told are stored when it was killed among many more."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
    )
    assert writer.stdout is not None
    told = 0
    with writer.stdout as lines:
        for line in lines:
            told = int(line)
            if told == 640:
                writer.kill()
    writer.wait()
    return told
