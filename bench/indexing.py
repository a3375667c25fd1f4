"""How fast the demo's own model is fed: texts a second that the server indexes, beside a bare client's.

    python -m bench.indexing [--messages 600] [--json FILE]

A bare client sends the texts in batches to the model, half of them before and half after the server indexes
all of them, so that a machine which is busy slows both alike. Meanwhile `/health/live` is asked every 20 ms,
which shows for how long the event loop is blocked.
"""

import argparse
import http.client
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from api.demo import embedding_weights
from api.demo.model_process import ModelProcess
from bench.search_history import Owner, write_history
from bench.search_server import search_server
from bench.search_texts import ThreadTexts
from tests.processes import free_port
from tests.servers import ServerProcess

_MODEL: Final = "multilingual-e5-small"
_BATCH: Final = 8
# Of a paragraph, in characters: each is one piece for the model.
_SHORTEST, _LONGEST = 40, 1200
_PREFIX: Final = "passage: "
_WARM_UP: Final = 150
_PING_SECONDS: Final = 0.02
_POLL_SECONDS: Final = 0.05


class _Reader(Owner):
    """One whose messages are these texts."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__(0, len(texts))
        self._texts = texts

    def threads(self) -> Iterator[ThreadTexts]:
        yield ThreadTexts(("documents",), tuple(self._texts))


def documents(most: int) -> list[str]:
    """Paragraphs of this project's own documents: made-up words would be many more tokens than real ones."""
    files = sorted(Path(__file__).parents[1].glob("docs/**/*.md"))
    paragraphs = [part.strip() for file in files for part in file.read_text(encoding="utf-8").split("\n\n")]
    return [part for part in paragraphs if _SHORTEST <= len(part) <= _LONGEST][:most]


def bare_seconds(base_url: str, texts: list[str]) -> float:
    """How long the model takes for these texts, one batch after the other."""
    host, _, rest = base_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(rest.removesuffix("/v1")), timeout=60)
    began = time.perf_counter()
    # Texts of like lengths go together, as in the server's batches.
    texts = sorted(texts, key=len)
    for start in range(0, len(texts), _BATCH):
        batch = [_PREFIX + text for text in texts[start : start + _BATCH]]
        body = json.dumps({"model": _MODEL, "input": batch, "encoding_format": "base64"})
        connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        if response.status != http.client.OK:
            raise SystemExit(f"the model answered {response.status}: {content[:200]!r}")
    connection.close()
    return time.perf_counter() - began


def indexed_seconds(file: Path, messages: int) -> float:
    """How long the server takes for all, told from the first batch that it has written on."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    first, began, done = 0, 0.0, 0
    query = "SELECT count(*) FROM search_entries WHERE embedded_in > 0 AND message_id IS NOT NULL"
    while done < messages:
        (done,) = connection.execute(query).fetchone()
        if done and not first:
            first, began = done, time.perf_counter()
        time.sleep(_POLL_SECONDS)
    connection.close()
    return (time.perf_counter() - began) * messages / (messages - first)


@contextmanager
def pinged(server: ServerProcess) -> Iterator[list[float]]:
    """Milliseconds that a request which needs nothing took, again and again."""
    taken: list[float] = []
    stop = threading.Event()

    def ping() -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        while not stop.wait(_PING_SECONDS):
            began = time.perf_counter()
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            taken.append((time.perf_counter() - began) * 1000)
        connection.close()

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        yield taken
    finally:
        stop.set()
        thread.join()


def measure(directory: Path, messages: int) -> dict[str, Any]:
    """All figures, as they are printed and written."""
    texts = documents(messages)
    weights = directory / f"{_MODEL}.gguf"
    embedding_weights.prepare(weights)
    write_history(directory / "app.db", [_Reader(texts)])
    with ModelProcess(embeddings=weights) as model:
        model.start(free_port(), directory / "model.log")
        model.wait_until_ready()
        # The first hundred texts take a model half as long again as all later ones.
        bare_seconds(model.base_url, texts[:_WARM_UP])
        bare = bare_seconds(model.base_url, texts[::2])
        with (
            search_server(
                directory,
                model.base_url,
                CHAT_EMBEDDING_MODEL_NAME=_MODEL,
                CHAT_EMBEDDING_BATCH_SIZE=str(_BATCH),
            ) as server,
            pinged(server) as taken,
        ):
            ours = indexed_seconds(directory / "app.db", len(texts))
        bare += bare_seconds(model.base_url, texts[1::2])
    return {
        "texts per second": {"server": len(texts) / ours, "bare client": len(texts) / bare},
        "server / bare client": bare / ours,
        "ping while indexing, ms": {
            "p50": float(np.median(taken)),
            "p99": float(np.percentile(taken, 99)),
            "max": max(taken),
        },
    }


def main() -> None:
    """Measure, print a table and, where asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = measure(Path(directory), arguments.messages)
    speeds, pings = result["texts per second"], result["ping while indexing, ms"]
    sys.stdout.write(f"server {speeds['server']:.1f} texts/s, bare client {speeds['bare client']:.1f}")
    sys.stdout.write(f": {result['server / bare client']:.2f} x\n")
    sys.stdout.write(f"ping p50 {pings['p50']:.1f} ms, p99 {pings['p99']:.1f}, max {pings['max']:.1f}\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
