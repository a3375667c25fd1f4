"""Streams through this server, beside the provider itself and servers that store nothing, in one run.

    python -m bench.streaming [--cases paced,full,…] [--rounds 2] [--quick] [--log redis] [--json FILE]
                              [--other URL] [--other-path PATH] [--other-header "Name: value"]

A provider of its own sends chunks of some 200 bytes, each with the time; a load client of its own, on raw
sockets, looks at every one. Everything that is measured takes turns, round by round, and the median of the
rounds is told. Everything is on in the server: tokens, storage, checkpoints, the event log, heartbeats.
`--log redis` adds two servers of ours on PostgreSQL and Valkey: what one of them writes is read there, and in
another round on the other one, too. `--other` puts another product beside, which speaks chat/completions.
"""

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.streaming_measures import Load, run
from bench.streaming_targets import BARE, DIRECT, ELSEWHERE, OURS, SHARED, USUAL, Target, targets

CASES: Final = {
    # First: later it would find memory that is there already.
    "idle": Load(300, 3, 0.2),
    "one": Load(1, 200, 50),
    "paced": Load(200, 96, 12),
    "hundred": Load(100, 300, 50),
    "150": Load(150, 300, 50),
    "300": Load(300, 300, 50),
    "500": Load(500, 300, 50),
    "full1": Load(1, 50_000, 0),
    "full": Load(100, 4_000, 0),
    "full500": Load(500, 800, 0),
    "start": Load(200, 8, 2),
}
READERS: Final = {"three runs": Load(198, 96, 12), "three readers": Load(66, 96, 12, readers=2)}
LONG: Final = Load(1, 100_000, 0)
LONG_PART: Final = 10_000
SHOWN: Final = (
    "first chunk p50, ms",
    "age p50, ms",
    "age p99, ms",
    "best slice p99, ms",
    "chunks/s",
    "CPU/chunk, us",
    "CPU/start, ms",
    "memory/stream, KB",
    "failed",
)

Figures = dict[str, float]


def measure(found: list[Target], load: Load, rounds: int, directory: Path) -> dict[str, Figures]:
    """The medians of all rounds, by target; faults are added up."""
    rows: dict[str, list[Figures]] = {target.name: [] for target in found}
    for _ in range(rounds):
        for target in found:
            rows[target.name].append(run(target, load, directory).measured())
    return {name: _middle(each) for name, each in rows.items()}


def _middle(rows: list[Figures]) -> Figures:
    faults = ("dropped", "repeated", "failed")
    return {
        key: float(sum(row[key] for row in rows) if key in faults else np.median([row[key] for row in rows]))
        for key in rows[0]
    }


def measure_length(ours: Target, directory: Path) -> Figures:
    """What the last chunks of a long answer cost, as a part of what the first ones did."""
    before = ours.resident_bytes()
    came = run(ours, LONG, directory)
    times = came.arrivals
    first = came.samples.cpu_between(times[LONG_PART], times[2 * LONG_PART])
    last = came.samples.cpu_between(times[-LONG_PART], times[-1])
    grown = float(came.samples.memory[-1]) - before
    return {"last / first": last / first, "grown, MB": grown / 1e6, "chunks": float(len(times))}


def show(name: str, rows: dict[str, Figures]) -> None:
    """Print one table."""
    sys.stdout.write(f"\n{name:<20}" + "".join(f"{column:>21}" for column in SHOWN) + "\n")
    for target, row in rows.items():
        sys.stdout.write(f"  {target:<18}" + "".join(f"{row[column]:21.1f}" for column in SHOWN) + "\n")
    sys.stdout.flush()


def compared(result: dict[str, Any]) -> list[tuple[str, float, float]]:
    """What is to be reached: its name, the most that it may be, and what it is."""
    found: list[tuple[str, float, float]] = []

    def part(case: str, key: str, reference: str, most: float, name: str) -> None:
        if case in result:
            value = result[case][OURS][key] / result[case][reference][key]
            found.append((f"{name} / {reference}", most, value))

    def figure(case: str, key: str, most: float, name: str) -> None:
        if case in result:
            found.append((name, most, result[case][OURS][key]))

    part("paced", "CPU/chunk, us", BARE, 1.25, "CPU a chunk, 200 streams of 12/s")
    part("paced", "CPU/chunk, us", USUAL, 0.6, "CPU a chunk, 200 streams of 12/s")
    figure("full", "CPU/chunk, us", 15, "CPU a chunk at full speed, us")
    for case, most in (("150", 0.4), ("300", 0.6)):
        if case in result:
            p99 = {name: row["age p99, ms"] for name, row in result[case].items()}
            added, usual = p99[OURS] - p99[DIRECT], p99[USUAL] - p99[DIRECT]
            found.append((f"added latency p99, {case} streams of 50/s / {USUAL}", most, added / usual))
    figure("150", "best slice p99, ms", 10, "best half second, 150 streams of 50/s, p99, ms")
    figure("start", "CPU/start, ms", 1.5, "CPU a start, 200 at once, ms")
    if "start" in result:
        first = {name: row["first chunk p50, ms"] for name, row in result["start"].items()}
        found.append(("first chunk after the provider's, 200 at once, ms", 150, first[OURS] - first[DIRECT]))
    figure("idle", "memory/stream, KB", 60, "memory of an open stream, KB")
    if "readers" in result:
        cost = {name: row["CPU/chunk, us"] for name, row in result["readers"].items()}
        found.append(
            ("three readers of a run / three runs, CPU", 0.85, cost["three readers"] / cost["three runs"])
        )
    if "long" in result:
        found.append(("last 10,000 of 100,000 chunks / first", 1.2, result["long"][OURS]["last / first"]))
    found += _shared(result.get("paced", {}))
    rows = [
        case[name] for case in result.values() for name in (OURS, SHARED, ELSEWHERE, *READERS) if name in case
    ]
    broken = sum(row.get(key, 0) for row in rows for key in ("dropped", "repeated", "failed"))
    found.append(("chunks dropped or repeated, streams failed", 0, broken))
    return found


def _shared(paced: dict[str, Figures]) -> list[tuple[str, float, float]]:
    """What the log that processes share may cost beside the log in memory."""
    if SHARED not in paced:
        return []
    cost = paced[SHARED]["CPU/chunk, us"] / paced[OURS]["CPU/chunk, us"]
    later = {name: paced[name]["age p99, ms"] - paced[OURS]["age p99, ms"] for name in (SHARED, ELSEWHERE)}
    return [
        ("CPU a chunk, 200 streams of 12/s, PostgreSQL and Valkey / SQLite", 1.5, cost),
        ("added latency p99 of the shared log, read where it is written, ms", 60, later[SHARED]),
        ("added latency p99 of the shared log, read in another process, ms", 60, later[ELSEWHERE]),
    ]


def main() -> None:
    """Measure what is asked for, print tables and, where asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=",".join([*CASES, "readers", "long"]))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round of short streams")
    parser.add_argument("--other")
    parser.add_argument("--other-path", default="/v1/chat/completions")
    parser.add_argument("--other-header", action="append", default=[])
    parser.add_argument("--log", choices=("memory", "redis"), default="memory")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with targets(directory, log=arguments.log) as found:
            ours = next(target for target in found if target.name == OURS)
            if arguments.other:
                headers = dict(line.split(": ", 1) for line in arguments.other_header)
                found.append(Target("other", arguments.other, ours.pid, arguments.other_path, headers))
            run(ours, Load(20, 5, 0), directory)  # warm
            for case in arguments.cases.split(","):
                result[case] = _measured(case, found, ours, rounds, directory, is_quick=arguments.quick)
                if case != "long":
                    show(case, result[case])
    sys.stdout.write("\n")
    for name, most, value in compared(result):
        verdict = "not measured" if np.isnan(value) else "reached" if value <= most else "missed"
        sys.stdout.write(f"{name:<66}{value:10.2f}{most:10.2f}  {verdict}\n")
    if arguments.json is not None:
        content = {"machine": platform.platform(), "rounds": rounds, "cases": result}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _measured(
    case: str, found: list[Target], ours: Target, rounds: int, directory: Path, *, is_quick: bool
) -> dict[str, Figures]:
    if case == "long":
        return {OURS: measure_length(ours, directory)}
    if case == "readers":
        return {name: measure([ours], load, rounds, directory)[OURS] for name, load in READERS.items()}
    load = CASES[case]
    return measure(found, replace(load, chunks=load.chunks // 2 + 1) if is_quick else load, rounds, directory)


if __name__ == "__main__":
    main()
