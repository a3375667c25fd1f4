"""What `bench.capacity` measures: the processor's time of servers and engines, by what they are asked for."""

import http.client
import os
import threading
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, cast

import numpy as np
import psycopg
from numpy.typing import NDArray
from redis import Redis

from bench.streaming_measures import Load, run
from bench.streaming_targets import Target

SERVERS: Final = "servers"
DATABASE: Final = "PostgreSQL"
BROKER: Final = "Valkey"
COMPONENTS: Final = (SERVERS, DATABASE, BROKER)
_PROGRAMS: Final = {"postgres": DATABASE, "valkey-server": BROKER}
# What is written after an answer, such as the index of its words, belongs to it.
_SETTLING_SECONDS: Final = 3.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Asked:
    """How often something is asked for; also what each of it costs, in seconds of the processor."""

    answers: float = 0
    chunks: float = 0
    chunks_read_elsewhere: float = 0
    pages: float = 0

    def row(self) -> list[float]:
        """The numbers in order."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class Sizes:
    """Bytes that are kept: of an answer with its question, and of a chunk while its run is retained."""

    database_per_answer: float
    transactions_per_answer: float
    """Not bytes: those of all servers, for what they look for by themselves, too."""
    broker_per_chunk: float
    broker_to_events: float


def busy_seconds(servers: set[int]) -> dict[str, float]:
    """What the servers, and the engines that this process has started, have used of the processor."""
    parents: dict[int, int] = {}
    used: dict[int, tuple[str, float]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (directory / "stat").read_text(encoding="utf-8").split("(", 1)[1].rsplit(") ", 1)
        except OSError:  # it has just ended; its parent has its time
            continue
        columns = rest.split()
        pid = int(directory.name)
        parents[pid] = int(columns[1])
        used[pid] = name, sum(map(int, columns[11:15])) / _TICKS
    total = dict.fromkeys(COMPONENTS, 0.0)
    for pid, (name, seconds) in used.items():
        component = SERVERS if pid in servers else _PROGRAMS.get(name)
        if component is not None and _is_descendant(pid, parents):
            total[component] += seconds
    return total


def _is_descendant(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == os.getpid():
            return True
        pid = parents[pid]
    return False


class Costs:
    """Loads the two servers, and tells what each thing cost."""

    def __init__(self, here: Target, elsewhere: Target, servers: set[int], directory: Path) -> None:
        """`elsewhere` is sent to `here`, and read on the other server."""
        self._here, self._elsewhere = here, elsewhere
        self._servers = servers
        self._directory = directory
        self._rows: list[list[float]] = []
        self._busy: list[list[float]] = []

    def load(self, load: Load | None, pages: int = 0, *, is_read_elsewhere: bool = False) -> Asked:
        """Ask for this, and note what it cost; what was asked for."""
        before = busy_seconds(self._servers)
        reader = threading.Thread(target=self._read_pages, args=(pages,))
        reader.start()
        if load is not None:
            run(self._elsewhere if is_read_elsewhere else self._here, load, self._directory)
        reader.join()
        time.sleep(_SETTLING_SECONDS)
        after = busy_seconds(self._servers)
        streams, chunks = (load.streams, load.streams * load.chunks) if load is not None else (0, 0)
        asked = Asked(streams, chunks, chunks if is_read_elsewhere else 0, pages)
        self._rows.append(asked.row())
        self._busy.append([after[component] - before[component] for component in COMPONENTS])
        return asked

    def of_each(self) -> dict[str, Asked]:
        """What each thing costs each component, by least squares of all loads so far; never less than 0."""
        found: NDArray[np.float64] = np.linalg.lstsq(np.array(self._rows), np.array(self._busy))[0]
        return {
            component: Asked(*np.maximum(found[:, place], 0).tolist())
            for place, component in enumerate(COMPONENTS)
        }

    def last(self) -> dict[str, float]:
        """What the last load cost, in seconds of the processor."""
        return dict(zip(COMPONENTS, self._busy[-1], strict=True))

    def _read_pages(self, pages: int) -> None:
        connection = http.client.HTTPConnection(*self._here.host)
        for _ in range(pages):
            connection.request("GET", "/api/threads?limit=20", headers=self._here.headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise SystemExit(f"a page was answered {answer.status}")
            answer.read()
        connection.close()


def database_bytes(url: str) -> int:
    """The size of the database, indexes included."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def transactions(url: str) -> int:
    """How many the database has committed so far."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def broker_bytes(broker: Redis) -> tuple[int, int]:
    """The memory that Valkey uses, and the bytes of all events that are in it."""
    used = int(broker.info("memory")["used_memory"])
    events = 0
    for key in broker.scan_iter("*:events", count=1000):
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", broker.xrange(key))
        events += sum(len(value) for _, entry in entries for value in entry.values())
    return used, events
