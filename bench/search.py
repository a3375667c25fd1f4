"""Search over many histories, server included, beside Chroma's own filter and Python's `re`, in one run.

    python -m bench.search [--messages 500000] [--owners 1000] [--largest 100000] [--data DIR] [--json FILE]

Makes the histories, has a server index them, then asks as one client does, over a socket: milliseconds from
the request to the last byte. Embedding the query is excluded: each query is sent twice, and the second time
its vector is known. With `--data` histories and indexes are kept there, and found by the next run.
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.search_history import Owner, owners, write_history
from bench.search_references import filtered_queries, scan, write_vectors
from bench.search_server import (
    Searcher,
    chroma_process,
    resident_bytes,
    search_server,
    token_settings,
    wait_until_indexed,
    word_vectors,
)
from bench.search_vectors import DIMENSION
from tests.servers import ServerProcess

OWNERS_ASKED = 100
LARGEST_ASKED = 40
SCANNED = "zozoz|гучува"
HOSTILE = {
    "no literal": r"\d{5}",
    "matches all": ".",
    "catastrophic": "(a+)+$",
    "nested repeats": "((a{1,30}){1,30})b",
    "200 alternatives": "|".join(f"{n}b" for n in range(100, 300)),
}


def measure_owner(server: ServerProcess, owner: Owner) -> dict[str, list[float]]:
    """Milliseconds of each kind of search, of one owner."""
    topic = next(owner.threads()).topic
    queries = {
        "words": ("TEXT", " ".join(topic[:2])),
        "regex with a literal": ("REGEX", rf"{topic[2]}\s+\w+"),
    }
    queries |= {name: ("REGEX", pattern) for name, pattern in HOSTILE.items()}
    searcher = Searcher(server, owner.token(token_settings()))
    meaning = " ".join(topic[:3])
    cold, page = searcher.search("SEMANTIC", meaning)
    if not page["edges"]:
        raise SystemExit("nothing is found by meaning; the figures would be worth nothing")
    found = {"semantic, first": [cold], "semantic": [searcher.search("SEMANTIC", meaning)[0]]}
    for name, (mode, query) in queries.items():
        found[name] = [searcher.search(mode, query)[0]]
    found["hybrid"] = [searcher.search("HYBRID", meaning)[0]]
    searcher.close()
    return found


def measure_largest(server: ServerProcess, owner: Owner) -> dict[str, list[float]]:
    """Milliseconds of each kind of search, of the owner who has the most."""
    searcher = Searcher(server, owner.token(token_settings()))
    found: dict[str, list[float]] = {"semantic": [], "words": [], "regex with a literal": []}
    for thread in list(owner.threads())[:LARGEST_ASKED]:
        meaning = " ".join(thread.topic[:3])
        searcher.search("SEMANTIC", meaning)
        found["semantic"].append(searcher.search("SEMANTIC", meaning)[0])
        found["words"].append(searcher.search("TEXT", " ".join(thread.topic[:2]))[0])
        found["regex with a literal"].append(searcher.search("REGEX", rf"{thread.topic[2]}\s+\w+")[0])
    searcher.close()
    return found


def measure(directory: Path, everyone: list[Owner]) -> dict[str, Any]:
    """All figures, as they are printed and written."""
    asked = everyone[1 :: max(1, len(everyone) // OWNERS_ASKED)][:OWNERS_ASKED]
    with word_vectors() as embeddings, search_server(directory, embeddings) as server:
        wait_until_indexed(directory / "app.db", _tell)
        measure_owner(server, asked[0])  # tables of Unicode's classes are made for the first pattern
        small: dict[str, list[float]] = {}
        for owner in asked:
            for name, taken in measure_owner(server, owner).items():
                small.setdefault(name, []).extend(taken)
        large = measure_largest(server, everyone[0])
        vectors = sum(owner.messages for owner in everyone) * DIMENSION * 4
        memory = {
            "vectors": vectors,
            "index process": resident_bytes(chroma_process(server)),
            "server": resident_bytes(server.pid),
        }
    queries = [(owner.number, " ".join(next(owner.threads()).topic[:3])) for owner in asked]
    return {
        "machine": platform.platform(),
        "messages": sum(owner.messages for owner in everyone),
        "one owner, ms": {name: summary(taken) for name, taken in small.items()},
        "largest owner, ms": {name: summary(taken) for name, taken in large.items()},
        "Chroma's filter, ms": summary(filtered_queries(directory / "reference", queries)),
        "re over all, ms": scan(directory / "app.db", SCANNED),
        "memory, bytes": memory,
    }


def summary(taken: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    return {
        "p50": float(np.median(taken)),
        "p95": float(np.percentile(taken, 95)),
        "max": max(taken),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    filtered, scanned = result["Chroma's filter, ms"], result["re over all, ms"]
    for group in ("one owner, ms", "largest owner, ms"):
        sys.stdout.write(f"\n{group:<30}{'p50':>9}{'p95':>9}{'max':>9}\n")
        for name, each in result[group].items():
            sys.stdout.write(f"  {name:<28}{each['p50']:9.1f}{each['p95']:9.1f}{each['max']:9.1f}\n")
    sys.stdout.write(
        f"\nChroma's filter by owner: p95 {filtered['p95']:.1f} ms; `re` over all: {scanned:.0f} ms\n"
    )
    small = result["one owner, ms"]
    sys.stdout.write(f"Chroma's filter / ours, p95: {filtered['p95'] / small['semantic']['p95']:.0f}\n")
    worst = max(small[name]["p95"] for name in ("words", "regex with a literal", *HOSTILE))
    sys.stdout.write(f"`re` over all / our slowest text search, p95: {scanned / worst:.0f}\n")
    memory = result["memory, bytes"]
    sys.stdout.write(f"index process / vectors' bytes: {memory['index process'] / memory['vectors']:.2f}\n")
    sys.stdout.write(f"server process: {memory['server'] / 1e6:.0f} MB\n")


def _tell(waiting: int) -> None:
    sys.stderr.write(f"\r{waiting} texts wait for the index ")
    sys.stderr.flush()


def main() -> None:
    """Make what is missing, measure, print a table and, where asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--owners", type=int, default=1000)
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    everyone = owners(arguments.owners, arguments.messages, arguments.largest)
    with tempfile.TemporaryDirectory() as temporary:
        kept = arguments.data or Path(temporary)
        directory = kept / f"{arguments.messages}-{arguments.owners}-{arguments.largest}"
        complete = directory / "complete"
        if not complete.exists():
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "app.db").unlink(missing_ok=True)
            write_history(directory / "app.db", everyone)
            write_vectors(directory / "reference", everyone)
            complete.touch()
        result = measure(directory, everyone)
    show(result)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
