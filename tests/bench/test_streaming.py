"""The streaming bench: its load client misses nothing, and one small run of it goes from end to end."""

import time
from pathlib import Path

import pytest

from bench.streaming import CASES, compared
from bench.streaming_client import Stream, Tally
from bench.streaming_measures import Load, run
from bench.streaming_targets import BARE, DIRECT, OURS, USUAL, targets


def chunk(number: int) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"#%07d %019d words"}}]}\n\n' % (
        number,
        time.monotonic_ns(),
    )


def fed(numbers: list[int], size: int = 1_000_000) -> Tally:
    """What is told of a stream with these chunks, which comes in parts of so many bytes."""
    tally = Tally(1)
    stream = Stream(tally, b"")
    body = b"".join(map(chunk, numbers))
    for start in range(0, len(body), size):
        stream.feed(body[start : start + size], time.monotonic_ns())
    return tally


@pytest.mark.parametrize("size", [1, 7, 64, 1_000_000])
def test_whole_streams_have_no_faults_whatever_their_parts(size: int) -> None:
    tally = fed([1, 2, 3, 4], size)
    assert (len(tally.arrivals), len(tally.first_chunks)) == (4, 1)
    assert (tally.dropped, tally.repeated) == (0, 0)


@pytest.mark.parametrize(
    ("numbers", "dropped", "repeated"), [([1, 2, 5], 2, 0), ([1, 2, 2, 3], 0, 1), ([2, 3], 1, 0)]
)
def test_chunks_that_are_dropped_or_come_again_are_counted(
    numbers: list[int], dropped: int, repeated: int
) -> None:
    tally = fed(numbers)
    assert (tally.dropped, tally.repeated) == (dropped, repeated)


def test_a_small_run_measures_everything_that_streams(tmp_path: Path) -> None:
    load = Load(3, 40, 50)
    with targets(tmp_path) as found:
        rows = {target.name: run(target, load, tmp_path).measured() for target in found}
    assert set(rows) == {DIRECT, OURS, USUAL, BARE}
    for row in rows.values():
        assert (row["dropped"], row["repeated"], row["failed"]) == (0, 0, 0)
        assert 0 < row["age p50, ms"] < row["first chunk p99, ms"] + 1000
        assert row["CPU/chunk, us"] > 0
    names = [name for name, _, _ in compared({"paced": rows})]
    assert len(names) == 3
    assert "paced" in CASES


def test_followers_of_a_run_get_all_of_it(tmp_path: Path) -> None:
    with targets(tmp_path) as found:
        ours = next(target for target in found if target.name == OURS)
        came = run(ours, Load(2, 20, 50, readers=2), tmp_path)
    assert len(came.arrivals) == 2 * 3 * 20
    assert came.faults.tolist() == [0, 0, 0]
