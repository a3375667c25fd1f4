"""The server that `bench.search` measures, with its embeddings, and how it is asked."""

import http.client
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from core.settings import Settings
from tests.processes import end_with_parent
from tests.servers import SECRET, ServerProcess

_NOBODY: Final = "http://127.0.0.1:9/v1"
_POLL_SECONDS: Final = 1.0
_QUERY: Final = """query ($q: String!, $mode: SearchMode!) { search(query: $q, mode: $mode, first: 20) {
  isPartial edges { cursor node { id title } similarity matchedBy
    matches { similarity matchedBy cursor snippet { text highlights { start end } }
              message { id sender createdAt } } } } }"""


@contextmanager
def word_vectors() -> Iterator[str]:
    """The address of an API of `bench.search_vectors`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.search_vectors", "0"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield f"http://127.0.0.1:{int(line)}/v1"
    finally:
        process.kill()
        process.wait()


@contextmanager
def search_server(directory: Path, embeddings: str, **settings: str) -> Iterator[ServerProcess]:
    """A server on the database in this directory, which embeds by this API."""
    with ServerProcess(
        directory,
        _NOBODY,
        {
            "CHAT_EMBEDDING_API_BASE": embeddings,
            "CHAT_EMBEDDING_MODEL_NAME": "words",
            "CHAT_EMBEDDING_BATCH_SIZE": "64",
            "CHAT_CHROMA_PERSIST_DIRECTORY": str(directory / "chroma"),
            **settings,
        },
    ) as server:
        yield server


def wait_until_indexed(file: Path, tell: Callable[[int], None] = lambda _waiting: None) -> None:
    """Until nothing waits, as the tables have it."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    while True:
        waiting = 0
        for query in (
            "SELECT count(*) FROM messages WHERE entry_id IS NULL",
            "SELECT count(*) FROM threads WHERE entry_id IS NULL",
            "SELECT count(*) FROM search_entries WHERE embedded_in = 0",
        ):
            waiting += connection.execute(query).fetchone()[0]
        live = connection.execute("SELECT count(*) FROM search_collections WHERE is_live").fetchone()[0]
        if not waiting and live:
            connection.close()
            return
        tell(waiting)
        time.sleep(_POLL_SECONDS)


class Searcher:
    """One owner's client, on one connection."""

    def __init__(self, server: ServerProcess, token: str) -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def search(self, mode: str, query: str) -> tuple[float, dict[str, Any]]:
        """Milliseconds from the request to the last byte of the answer, and the page of hits."""
        body = json.dumps({"query": _QUERY, "variables": {"q": query, "mode": mode}})
        began = time.perf_counter()
        self._connection.request("POST", "/graphql", body, self._headers)
        content = self._connection.getresponse().read()
        taken = (time.perf_counter() - began) * 1000
        answer = json.loads(content)
        if "errors" in answer:
            raise SystemExit(f"the search for {query[:60]!r} failed: {answer['errors']}")
        page: dict[str, Any] = answer["data"]["search"]
        return taken, page

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def token_settings() -> Settings:
    """What signs the tokens that the server accepts."""
    return Settings(jwt_secret_key=SECRET, _env_file=None)


def resident_bytes(pid: int) -> int:
    """The memory of a process that is really there."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"process {pid} is gone")


def chroma_process(server: ServerProcess) -> int:
    """The process that holds the server's vectors."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            is_child = f"PPid:\t{server.pid}\n" in status.read_text(encoding="utf-8")
            command = (status.parent / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if is_child and b"chroma_program" in command:
            return int(status.parent.name)
    raise SystemExit("the server holds no vectors")
