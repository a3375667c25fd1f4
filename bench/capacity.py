"""How many processes and what engines so many users need: from measured costs, by a simulation.

    python -m bench.capacity [--users 100,10000,1000000] [--seconds-between 120] [--chunks 240] [--pages 4]
                             [--elsewhere 0.5] [--json FILE]

Measures on this machine what an answer, a chunk of it, a chunk that is read in another process and a page of
threads cost two servers, PostgreSQL and Valkey; then a mixed load, which the costs must foretell. The
simulation lets users ask at random times, gives each answer to a process at random, and looks for the fewest
processes that are busy for at most 70 % of all but one in a hundred of their seconds. It knows nothing of
disks, of networks, of models, or of locks that many wait for.
"""

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
from redis import Redis

from bench.capacity_costs import (
    COMPONENTS,
    SERVERS,
    Asked,
    Costs,
    Sizes,
    broker_bytes,
    database_bytes,
    transactions,
)
from bench.streaming_measures import Load, run
from bench.streaming_targets import Target, pair, process

BUSY: Final = 0.7
RATE: Final = 12.0
# bench.streaming measures it: what an open stream or socket that is silent takes of a server's memory.
IDLE_BYTES: Final = 32 * 1024
RETENTION_SECONDS: Final = 120
# How the index cuts texts, the vectors of the default model, and what Chroma takes of memory beside them,
# which bench.search measures.
PIECE_TOKENS: Final = 510
VECTOR_BYTES: Final = 1024 * 4
VECTOR_OVERHEAD: Final = 1.65
_SIMULATED_SECONDS: Final = 120
_DAY: Final = 24 * 60 * 60

_WARM: Final = Load(20, 5, 0)
_SHORT, _LONG = Load(200, 8, RATE), Load(100, 240, RATE)
_MIXED: Final = Load(120, 120, RATE)
_PAGES, _MIXED_PAGES = 1000, 400


@dataclass(frozen=True)
class Users:
    """What one who uses the chat does: asks again so often, gets so many chunks, opens so many pages."""

    seconds_between: float
    chunks: int
    pages: float
    elsewhere: float
    """The part of answers whose reader is connected to another process than their writer."""


@dataclass(frozen=True)
class Needed:
    """What so many users at once need."""

    users: int
    answers_per_second: float
    streams: float
    processes: int
    memory_per_process: float
    cores: dict[str, float]
    transactions_per_second: float
    vectors_per_day: float
    vector_bytes_per_day: float
    broker_bytes: float
    database_bytes_per_day: float


def busy_by_second(count: int, processes: int, users: Users, each: Asked, seed: int = 1) -> Any:
    """How busy each process is in each second, 1 being all of a core: an array of processes x seconds."""
    random = np.random.default_rng(seed)
    length = int(users.chunks / RATE)
    span = _SIMULATED_SECONDS + length
    answers = random.poisson(count / users.seconds_between * span)
    begins = random.integers(0, span, answers)
    writers, readers = random.integers(0, processes, (2, answers))
    # What begins and ends, as steps; their running sum is what goes on.
    steps = np.zeros((processes, span + length + 1))
    for which, cost in (
        (writers, each.chunks * RATE),
        (readers, each.chunks_read_elsewhere * RATE * users.elsewhere),
    ):
        np.add.at(steps, (which, begins), cost)
        np.add.at(steps, (which, begins + length), -cost)
    busy = np.cumsum(steps, axis=1)
    np.add.at(busy, (writers, begins), each.answers + users.pages * each.pages)
    return busy[:, length:span]


def processes_for(count: int, users: Users, each: Asked) -> int:
    """The fewest that are seldom busier than `BUSY`."""
    per_answer = each.answers + users.pages * each.pages
    per_answer += users.chunks * (each.chunks + users.elsewhere * each.chunks_read_elsewhere)
    processes = max(1, int(count / users.seconds_between * per_answer / BUSY))
    while np.percentile(busy_by_second(count, processes, users, each), 99) > BUSY:
        processes += max(1, processes // 50)
    return processes


def needed(count: int, users: Users, each: dict[str, Asked], sizes: Sizes) -> Needed:
    """All that `count` users at once need."""
    answers = count / users.seconds_between
    chunks = answers * users.chunks
    asked = np.array([answers, chunks, chunks * users.elsewhere, answers * users.pages])
    processes = processes_for(count, users, each[SERVERS])
    # A chunk is about a token; the question is one piece.
    vectors = answers * _DAY * (1 + ceil(users.chunks / PIECE_TOKENS))
    return Needed(
        users=count,
        answers_per_second=answers,
        streams=chunks / RATE,
        processes=processes,
        memory_per_process=count * IDLE_BYTES / processes,
        cores={name: float(asked @ each[name].row()) for name in COMPONENTS},
        transactions_per_second=answers * sizes.transactions_per_answer,
        vectors_per_day=vectors,
        vector_bytes_per_day=vectors * VECTOR_BYTES * VECTOR_OVERHEAD,
        broker_bytes=chunks * sizes.broker_per_chunk * (users.chunks / RATE + RETENTION_SECONDS),
        database_bytes_per_day=answers * _DAY * sizes.database_per_answer,
    )


def measured() -> tuple[dict[str, Asked], Sizes, dict[str, tuple[float, float]]]:
    """The costs of each thing, the sizes, and what a mixed load was foretold and found to cost."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with (
            process("bench.streaming_provider", "0") as (_, port),
            pair(directory, f"http://127.0.0.1:{port}/v1") as (settings, (here, elsewhere)),
        ):
            return _measured(settings, here, elsewhere, directory)


def _measured(
    settings: dict[str, str], here: Target, elsewhere: Target, directory: Path
) -> tuple[dict[str, Asked], Sizes, dict[str, tuple[float, float]]]:
    run(here, _WARM, directory)
    costs = Costs(here, elsewhere, {here.pid, elsewhere.pid}, directory)
    url = settings["CHAT_DATABASE_URL"]
    size, done = database_bytes(url), transactions(url)
    costs.load(_SHORT)
    per_answer = (database_bytes(url) - size) / _SHORT.streams
    done_per_answer = (transactions(url) - done) / _SHORT.streams
    with Redis.from_url(settings["CHAT_REDIS_URL"]) as broker:
        used, events = broker_bytes(broker)
        asked = costs.load(_LONG)
        used_after, events_after = broker_bytes(broker)
    grown = used_after - used
    sizes = Sizes(per_answer, done_per_answer, grown / asked.chunks, grown / (events_after - events))
    costs.load(_LONG, is_read_elsewhere=True)
    costs.load(None, _PAGES)
    each = costs.of_each()
    mixed = costs.load(_MIXED, _MIXED_PAGES, is_read_elsewhere=True)
    found = costs.last()
    foretold = {name: float(np.dot(mixed.row(), each[name].row())) for name in COMPONENTS}
    return each, sizes, {name: (foretold[name], found[name]) for name in COMPONENTS}


def main() -> None:
    """Measure, simulate, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", default="100,10000,1000000")
    parser.add_argument("--seconds-between", type=float, default=120)
    parser.add_argument("--chunks", type=int, default=240)
    parser.add_argument("--pages", type=float, default=4)
    parser.add_argument("--elsewhere", type=float, default=0.5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    users = Users(arguments.seconds_between, arguments.chunks, arguments.pages, arguments.elsewhere)
    each, sizes, checked = measured()
    _show_costs(each, sizes, checked)
    found = [needed(int(count), users, each, sizes) for count in arguments.users.split(",")]
    _show_needed(found)
    if arguments.json is not None:
        content = {
            "machine": platform.platform(),
            "costs": {name: asdict(cost) for name, cost in each.items()},
            "sizes": asdict(sizes),
            "mixed load, foretold and found": checked,
            "needed": [asdict(row) for row in found],
        }
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _show_costs(each: dict[str, Asked], sizes: Sizes, checked: dict[str, tuple[float, float]]) -> None:
    out = sys.stdout.write
    out(f"\n{'cost of each, us':<20}" + "".join(f"{name:>24}" for name in asdict(each[SERVERS])) + "\n")
    for name, cost in each.items():
        out(f"  {name:<18}" + "".join(f"{value * 1e6:24.1f}" for value in cost.row()) + "\n")
    out(f"\nPostgreSQL keeps {sizes.database_per_answer:,.0f} bytes of an answer and its question, ")
    out(f"which take {sizes.transactions_per_answer:.1f} transactions\n")
    out(f"Valkey keeps {sizes.broker_per_chunk:,.0f} bytes of a chunk, ")
    out(f"{sizes.broker_to_events:.2f} times the bytes of its events\n")
    out(f"\n{'a mixed load, s':<20}{'foretold':>12}{'found':>12}{'ratio':>12}\n")
    for name, (foretold, found) in checked.items():
        out(f"  {name:<18}{foretold:12.2f}{found:12.2f}{foretold / found if found else 0:12.2f}\n")


def _show_needed(found: list[Needed]) -> None:
    columns = (
        "users",
        "answers/s",
        "streams",
        "processes",
        "MB each idle",
        *COMPONENTS[1:],
        "transact./s",
        "Valkey GB",
        "DB GB/day",
        "vectors/day",
        "their GB/day",
    )
    sys.stdout.write("\n" + "".join(f"{column:>14}" for column in columns) + "\n")
    for row in found:
        values = (
            row.users,
            row.answers_per_second,
            row.streams,
            row.processes,
            row.memory_per_process / 1e6,
            *(row.cores[name] for name in COMPONENTS[1:]),
            row.transactions_per_second,
            row.broker_bytes / 1e9,
            row.database_bytes_per_day / 1e9,
            row.vectors_per_day,
            row.vector_bytes_per_day / 1e9,
        )
        sys.stdout.write("".join(f"{value:14,.1f}" for value in values) + "\n")


if __name__ == "__main__":
    main()
