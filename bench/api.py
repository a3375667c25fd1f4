"""Reads and writes over HTTP, beside the same statements without HTTP and a bare route, in one run.

    python -m bench.api [--messages 200000] [--threads 10000] [--users 1000] [--requests 300] [--json FILE]

One client, one connection, one worker, SQLite, all of it in a temporary directory; search is switched off,
as it would index the history meanwhile. For each case: requests a second and milliseconds as the client sees
them, and milliseconds of processor a request of the server's process, of SQLAlchemy Core running the case's
statements, and of a Starlette route that answers with the same bytes. `of bound` is the server's share of
what it may cost: five times the bare route, and the statements.
"""

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.api_history import History, core_queries, write_history
from bench.streaming_targets import Target, process, wait_until_reachable
from core.settings import Settings
from tests.clients import Client
from tests.processes import free_port
from tests.servers import PASSWORD, ServerProcess

USERNAME: Final = "bench"
_WARM_UP: Final = 20
_BARE_ROUTES_COST: Final = 5
_LOGINS: Final = 20
_THREADS: Final = """query ($first: Int, $after: Cursor, $last: Int) {
  threads(first: $first, after: $after, last: $last) { totalCount pageInfo { startCursor hasNextPage }
    edges { cursor node { id title messageCount createdAt updatedAt metadata } } } }"""
_MESSAGES: Final = """query ($id: UUID!, $first: Int, $after: Cursor, $last: Int) { thread(id: $id) {
  messages(first: $first, after: $after, last: $last) { totalCount pageInfo { startCursor hasNextPage }
    edges { cursor node { id text status sender createdAt metadata attachments { id } } } } } }"""


@dataclass(frozen=True, slots=True)
class Case:
    """A request, of one path after the other, and the statements behind it, if they can be asked alone."""

    name: str
    method: str
    paths: tuple[str, ...]
    body: bytes = b""
    statements: str | None = None


class Caller:
    """A client on one connection."""

    def __init__(self, target: Target) -> None:
        self._connection = http.client.HTTPConnection(*target.host, timeout=60)
        self._headers = {**target.headers, "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of the answer. Ends the bench if it is an error."""
        self._connection.request(method, path, body or None, self._headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= http.HTTPStatus.BAD_REQUEST or content.startswith(b'{"errors"'):
            raise SystemExit(f"{method} {path} answered {response.status}: {content[:300]!r}")
        return content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def graphql(self, query: str, **variables: Any) -> Any:
        """The data of the answer."""
        return json.loads(self.ask("POST", "/graphql", graphql_body(query, **variables)))["data"]


def graphql_body(query: str, **variables: Any) -> bytes:
    """A request's body."""
    return json.dumps({"query": query, "variables": variables}).encode()


def cases(caller: Caller, history: History) -> list[Case]:
    """All cases. Deep pages are the last ones of the history, some 10,000 entries from its beginning."""
    long = str(history.long_thread_id)
    threads_end = caller.graphql(_THREADS, last=21)["threads"]["pageInfo"]["startCursor"]
    messages_end = caller.graphql(_MESSAGES, id=long, last=21)["thread"]["messages"]["pageInfo"][
        "startCursor"
    ]
    rest, of_thread = "/api/threads?limit=20&page=", f"/api/threads/{long}/messages?limit=20&page="
    listed = [caller.ask("GET", f"/api/threads?limit=100&page={page}") for page in (1, 2, 3, 4)]
    sends = [
        f"/api/threads/{thread['id']}/messages/stream"
        for page in listed
        for thread in json.loads(page)["items"]
    ]
    credentials = json.dumps({"username": USERNAME, "password": PASSWORD}).encode()
    question = json.dumps({"text": "chunks=1 rate=0", "model": "bench"}).encode()
    deep_threads = graphql_body(_THREADS, first=20, after=threads_end)
    deep_messages = graphql_body(_MESSAGES, id=long, first=20, after=messages_end)
    return [
        Case("REST threads", "GET", (f"{rest}1",), statements="threads"),
        Case("REST threads, page 500", "GET", (f"{rest}500",), statements="threads, deep"),
        Case("REST messages", "GET", (f"{of_thread}1",), statements="messages"),
        Case("REST messages, page 500", "GET", (f"{of_thread}500",), statements="messages, deep"),
        Case("GraphQL threads", "POST", ("/graphql",), graphql_body(_THREADS, first=20), "threads"),
        Case("GraphQL threads, deep", "POST", ("/graphql",), deep_threads, "threads"),
        Case(
            "GraphQL messages", "POST", ("/graphql",), graphql_body(_MESSAGES, id=long, first=20), "messages"
        ),
        Case("GraphQL messages, deep", "POST", ("/graphql",), deep_messages, "messages, deep"),
        Case("send, answered", "POST", tuple(sends), question),
        Case("login", "POST", ("/api/auth/login",), credentials, "login"),
    ]


def measure(case: Case, target: Target, requests: int) -> tuple[dict[str, float], bytes]:
    """Figures of so many requests on a connection of their own, and the last answer."""
    paths, taken = cycle(case.paths), []
    with closing(Caller(target)) as caller:
        for _ in range(_WARM_UP if case.statements != "login" else 1):
            answer = caller.ask(case.method, next(paths), case.body)
        used, began = target.cpu_seconds(), time.perf_counter()
        for _ in range(requests):
            asked = time.perf_counter()
            answer = caller.ask(case.method, next(paths), case.body)
            taken.append((time.perf_counter() - asked) * 1000)
        figures = {
            "per second": requests / (time.perf_counter() - began),
            "p50 ms": float(np.percentile(taken, 50)),
            "p95 ms": float(np.percentile(taken, 95)),
            "CPU ms": (target.cpu_seconds() - used) * 1000 / requests,
        }
    return figures, answer


def core_cost(work: Callable[[], object], requests: int) -> float:
    """Milliseconds of processor of this."""
    work()
    used = time.process_time()
    for _ in range(requests):
        work()
    return (time.process_time() - used) * 1000 / requests


def bare_cost(answer: bytes, case: Case, requests: int, directory: Path) -> float:
    """Milliseconds of processor of a bare route for the same request and answer."""
    file, port = directory / "answer", free_port()
    file.write_bytes(answer)
    with process("bench.api_bare", str(port), str(file)) as (pid, _):
        target = Target("bare route", f"http://127.0.0.1:{port}", pid)
        wait_until_reachable(target)
        return measure(Case(case.name, case.method, ("/",), case.body), target, requests)[0]["CPU ms"]


@contextmanager
def measured_server(arguments: argparse.Namespace, directory: Path) -> Iterator[tuple[Target, History]]:
    """The server with its history, and its provider."""
    defaults = Settings(_env_file=None)
    settings = {
        "CHAT_SEARCH_ENABLED": "false",
        "CHAT_ARGON2_MEMORY_KIB": str(defaults.argon2_memory_kib),
        "CHAT_ARGON2_ITERATIONS": str(defaults.argon2_iterations),
    }
    with process("bench.streaming_provider", "0") as (_, port):
        server = ServerProcess(directory, f"http://127.0.0.1:{port}/v1", settings)
        account = {"username": USERNAME, "password": PASSWORD}
        with server, Client(server.url) as client:
            client.post("/api/auth/register", json=account).raise_for_status()
        history = write_history(
            directory / "app.db",
            USERNAME,
            users=arguments.users,
            threads=arguments.threads,
            messages=arguments.messages,
            longest=arguments.messages // 19,
        )
        with server:
            with Client(server.url) as client:
                token = client.post("/api/auth/login", json=account).json()["access_token"]
            yield (
                Target("gwp-chat", server.url, server.pid, headers={"Authorization": f"Bearer {token}"}),
                history,
            )


def compare(arguments: argparse.Namespace, directory: Path) -> dict[str, dict[str, float]]:
    """The figures of every case."""
    found: dict[str, dict[str, float]] = {}
    with (
        measured_server(arguments, directory) as (target, history),
        core_queries(directory / "app.db", history) as queries,
    ):
        with closing(Caller(target)) as caller:
            wanted = cases(caller, history)
        for case in wanted:
            requests = min(arguments.requests, _LOGINS) if case.statements == "login" else arguments.requests
            figures, answer = measure(case, target, requests)
            figures["bare CPU ms"] = bare_cost(answer, case, requests, directory)
            if case.statements is not None:
                figures["Core CPU ms"] = core_cost(queries[case.statements], requests)
                bound = _BARE_ROUTES_COST * figures["bare CPU ms"] + figures["Core CPU ms"]
                figures["of bound"] = figures["CPU ms"] / bound
            found[case.name] = figures
    return found


def show(found: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    columns = ["per second", "p50 ms", "p95 ms", "CPU ms", "Core CPU ms", "bare CPU ms", "of bound"]
    sys.stdout.write(f"{'':<26}" + "".join(f"{column:>13}" for column in columns) + "\n")
    for name, figures in found.items():
        told = (f"{figures[column]:13.2f}" if column in figures else f"{'':>13}" for column in columns)
        sys.stdout.write(f"{name:<26}" + "".join(told) + "\n")


def main() -> None:
    """Write the history, measure, print a table and, where asked, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = compare(arguments, Path(directory))
    show(found)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
