"""The model of how much so many users need does what it says; what things cost is found from loads."""

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from bench.capacity import BUSY, RATE, Users, busy_by_second, needed, processes_for
from bench.capacity_costs import COMPONENTS, SERVERS, Asked, Costs, Sizes, busy_seconds

USERS = Users(seconds_between=60, chunks=120, pages=2, elsewhere=0.5)
EACH = Asked(answers=0.02, chunks=0.0002, chunks_read_elsewhere=0.0001, pages=0.004)
SIZES = Sizes(database_per_answer=2000, transactions_per_answer=6, broker_per_chunk=100, broker_to_events=1.5)
PER_ANSWER = 0.02 + 120 * (0.0002 + 0.5 * 0.0001) + 2 * 0.004


def test_processes_are_as_busy_as_what_is_asked_for_costs() -> None:
    busy = busy_by_second(6000, 10, USERS, EACH)
    assert busy.shape[0] == 10
    assert busy.mean() == pytest.approx(6000 / 60 * PER_ANSWER / 10, rel=0.05)


def test_so_many_processes_are_enough_and_fewer_are_not() -> None:
    found = processes_for(6000, USERS, EACH)
    assert found >= 6000 / 60 * PER_ANSWER / BUSY - 1
    busy, busier = (busy_by_second(6000, count, USERS, EACH) for count in (found, found - 1))
    assert np.percentile(busy, 99) <= BUSY < np.percentile(busier, 99)
    assert processes_for(60_000, USERS, EACH) > 8 * found


def test_engines_need_what_users_ask_for() -> None:
    found = needed(6000, USERS, dict.fromkeys(COMPONENTS, EACH), SIZES)
    assert (found.answers_per_second, found.streams) == (100, 100 * 120 / RATE)
    assert found.cores[SERVERS] == pytest.approx(100 * PER_ANSWER)
    assert found.transactions_per_second == 600
    assert found.vectors_per_day == 100 * 86_400 * 2
    assert found.database_bytes_per_day == 100 * 86_400 * 2000


def test_what_each_thing_costs_is_found_from_loads() -> None:
    costs = Costs(cast(Any, None), cast(Any, None), set(), Path())
    loads = [(200, 1600, 0, 0), (100, 24_000, 0, 0), (100, 24_000, 24_000, 0), (0, 0, 0, 1000)]
    rows = [Asked(*load).row() for load in loads]
    costs._rows = rows  # noqa: SLF001 - in place of servers under load
    costs._busy = [[float(np.dot(row, EACH.row())) * factor for factor in (1, 2, 0)] for row in rows]  # noqa: SLF001
    servers, database, broker = costs.of_each().values()
    assert servers.row() == pytest.approx(EACH.row())
    assert database.row() == pytest.approx([2 * value for value in EACH.row()])
    assert broker.row() == pytest.approx([0] * 4, abs=1e-9)


def test_the_time_of_a_server_is_its_processors_time() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        found = busy_seconds({server.pid})
        server.communicate("\n")
    assert found[SERVERS] >= 0.45  # in ticks of the kernel
    assert busy_seconds(set())[SERVERS] == 0
