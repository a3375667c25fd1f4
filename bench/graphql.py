"""GraphQL beside plain Strawberry and a bare route: CPU of one process, on the same data, in one run.

    python -m bench.graphql [--rounds 40] [--json FILE]

20 threads with 5 messages each, 12 fields a message, out of memory: what is measured is the API and not the
database. Ours has everything on: token, limits, cost, loaders. The references have neither. All three answer
real ASGI requests in this process, in turns, so that a busy machine slows all of them alike.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.graphql_apps import QUERY, SMALL_QUERY, bare_app, our_app, plain_app, small_prepare
from bench.requests import post

BATCH = 10
WARM_UP = 5

Work = Callable[[], Awaitable[bytes]]


async def measure(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """The median CPU milliseconds of one call of each, measured in turns."""
    for work in works.values():
        for _ in range(WARM_UP):
            await work()
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            started = time.process_time_ns()
            for _ in range(BATCH):
                await work()
            samples[name].append((time.process_time_ns() - started) / BATCH / 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


async def run(rounds: int) -> dict[str, Any]:
    """All figures, as they are printed and written."""
    ours, plain, bare = our_app(), plain_app(), bare_app()
    body = {"query": QUERY}
    answers = [await post(ours, "/graphql", body), await post(plain, "/graphql", body)]
    items = [json.loads(answer)["data"]["threads"]["edges"] for answer in answers]
    if items[0] != items[1]:
        raise SystemExit("the two GraphQL APIs do not answer the same; the comparison would be worth nothing")
    figures = await measure(
        {
            "ours": lambda: post(ours, "/graphql", body),
            "plain Strawberry": lambda: post(plain, "/graphql", body),
            "Starlette and msgspec": lambda: post(bare, "/", {}),
            "ours, small query": lambda: post(ours, "/graphql", {"query": SMALL_QUERY}),
        },
        rounds,
    )
    guard_rails = await measure({"guard rails": small_prepare()}, rounds)
    return {
        "cpu_ms": figures | guard_rails,
        "ratio": {
            "ours / plain Strawberry": figures["ours"] / figures["plain Strawberry"],
            "ours / Starlette and msgspec": figures["ours"] / figures["Starlette and msgspec"],
        },
        "response_bytes": len(answers[0]),
    }


def main() -> None:
    """Measure, print a table and, where asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments.rounds))
    for name, value in result["cpu_ms"].items():
        sys.stdout.write(f"{name:<32}{value:9.3f} ms CPU\n")
    for name, value in result["ratio"].items():
        sys.stdout.write(f"{name:<32}{value:9.2f} x\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
