"""What `bench.streaming` loads: this server, the provider itself, and servers that store nothing."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.clients import Client
from tests.engines import engines
from tests.processes import end_with_parent, free_port
from tests.servers import PASSWORD, ServerProcess

OURS: Final = "gwp-chat"
SHARED: Final = "shared log"
ELSEWHERE: Final = "read elsewhere"
DIRECT: Final = "provider itself"
USUAL: Final = "usual way"
BARE: Final = "bare"
_READY_SECONDS: Final = 20


@dataclass
class Target:
    """Something that streams: what to send to have it stream, and the process to watch."""

    name: str
    url: str
    pid: int
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = field(default_factory=dict)
    reader_port: int | None = None
    """Where each stream is read a second time, and looked at; `pid` is the process there then."""

    @property
    def host(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def requests(self, count: int, prompt: str) -> list[str]:
        """Requests for so many streams, each with this prompt."""
        body = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": prompt}]}
        return [self._request(self.path, body)] * count

    def reader_headers(self) -> str:
        """The headers of a request without a body."""
        host, port = self.host
        lines = {"Host": f"{host}:{port}", **self.headers}
        return "\r\n".join(f"{name}: {value}" for name, value in lines.items())

    def _request(self, path: str, body: dict[str, Any]) -> str:
        content = json.dumps(body)
        length = f"Content-Type: application/json\r\nContent-Length: {len(content)}"
        return f"POST {path} HTTP/1.1\r\n{self.reader_headers()}\r\n{length}\r\n\r\n{content}"

    def cpu_seconds(self) -> float:
        """What its process has used of the processor, by all threads that it has and had."""
        # As clock_getcpuclockid(3) makes it: to the nanosecond, threads that have ended included.
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident_bytes(self) -> int:
        """The memory of its process that is really there."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * 4096


class Ours(Target):
    """The server of this project: every stream is an answer in a new thread, to a user who is signed in."""

    def requests(self, count: int, prompt: str) -> list[str]:
        """Make a thread for each."""
        connection = http.client.HTTPConnection(*self.host)
        found = []
        for _ in range(count):
            connection.request(
                "POST", "/api/threads", "{}", {**self.headers, "Content-Type": "application/json"}
            )
            thread = json.loads(connection.getresponse().read())
            found.append(
                self._request(
                    f"/api/threads/{thread['id']}/messages/stream", {"text": prompt, "model": "bench"}
                )
            )
        connection.close()
        return found


@contextmanager
def targets(directory: Path, *, log: str = "memory") -> Iterator[list[Target]]:
    """All that is compared, with one provider behind them.

    With the log `redis`, this server a second and a third time, on engines that processes share.
    """
    with ExitStack() as stack:
        pid, port = stack.enter_context(process("bench.streaming_provider", "0"))
        provider = f"http://127.0.0.1:{port}/v1"
        found = [Target(DIRECT, f"http://127.0.0.1:{port}", pid)]
        found.append(stack.enter_context(_ours(OURS, directory, provider, {})))
        if log == "redis":
            found += stack.enter_context(pair(directory, provider))[1]
        for name, kind in ((USUAL, "usual"), (BARE, "bare")):
            free = free_port()
            pid, _ = stack.enter_context(process("bench.streaming_references", kind, str(free), provider))
            found.append(Target(name, f"http://127.0.0.1:{free}", pid))
            wait_until_reachable(found[-1])
        yield found


@contextmanager
def pair(directory: Path, provider: str) -> Iterator[tuple[dict[str, str], list[Target]]]:
    """The engines that processes share, and two servers on them: one to write, the other to read only."""
    with engines() as settings, ExitStack() as stack:
        made = []
        for name in (SHARED, ELSEWHERE):
            (directory / name).mkdir()
            made.append(stack.enter_context(_ours(name, directory / name, provider, settings)))
        writer, reader = made
        reader.url, reader.reader_port = writer.url, reader.host[1]
        yield settings, [writer, reader]


@contextmanager
def _ours(name: str, directory: Path, provider: str, more: dict[str, str]) -> Iterator[Ours]:
    settings = {
        "CHAT_MAX_CONCURRENT_RUNS": "2000",
        "CHAT_CHROMA_PERSIST_DIRECTORY": str(directory / "chroma"),
        "CHAT_LLM_TIMEOUT_SECONDS": "60",
        **more,
    }
    with ServerProcess(directory, provider, settings) as server:
        yield Ours(name, server.url, server.pid, headers=_signed_in(server.url))


def _signed_in(url: str) -> dict[str, str]:
    with Client(url) as client:
        account = {"username": "bench", "password": PASSWORD}
        client.post("/api/auth/register", json=account)  # which another server may have done
        login = client.post("/api/auth/login", json=account).raise_for_status()
    return {"Authorization": f"Bearer {login.json()['access_token']}"}


@contextmanager
def process(module: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """A process of the bench: its id, and its port if it prints one first."""
    child = subprocess.Popen(  # noqa: S603 - a module of ours
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
    )
    with child:
        try:
            prints_port = arguments == ("0",)
            yield child.pid, int(child.stdout.readline()) if prints_port and child.stdout else 0
        finally:
            child.kill()


def wait_until_reachable(target: Target) -> None:
    """Until it takes connections. Ends the bench if it does not."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        connection = http.client.HTTPConnection(*target.host)
        try:
            connection.connect()
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{target.name} does not start") from None
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
