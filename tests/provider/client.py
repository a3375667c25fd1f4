"""What tests hold: the provider's process, and namespaces in it.

Everything here is synchronous, thread-safe, and answers within a millisecond or so, except for the `wait_…`
methods. Those hold their thread until the thing has happened, so that a test whose event loop must go on
meanwhile says `await asyncio.to_thread(provider.wait_for_requests, "m", 1)`.
"""

import json
import re
import select
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from tests.provider import CONTROL, EVERYWHERE, MODELS, RecordedRequest, models_name
from tests.provider.script import Script, script_to_wire

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 10.0
ON_TOP = 20.0  # what a call may take beyond the time it was asked to wait, on a machine under load


class Connections(NamedTuple):
    """TCP connections that brought at least one request: open now, and accepted ever."""

    open: int
    accepted: int


class Namespace:
    """A provider of its own: scripts, records, gates and lists of models, seen only below its `base_url`.

    Behaviours are keyed by the request's `model`; see `script`. A request for a model that was never scripted
    gets its last user message back in three chunks with usage.
    """

    def __init__(self, root_url: str, name: str, control: httpx.Client) -> None:
        if name and not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"not a name for a namespace: {name!r}")
        self.base_url = f"{root_url}/p/{name}" if name else root_url
        self.name = name
        self._control = control

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def script(self, model: str, *scripts: Script) -> None:
        """Each request for this model takes the next script, and the last one repeats.

        Replaces what was scripted before, and keeps what was recorded. Scripts answer at any path, so that a
        test of paths looks at `RecordedRequest.path`.
        """
        self._call("script", model, scripts=[script_to_wire(script) for script in scripts])

    def set_models(self, *scripts: Script, token: str | None = None) -> None:
        """The same for GET …/models, for everybody or for one bearer token, which then goes first."""
        self.script(models_name(token), *scripts)

    def requests(self, model: str = MODELS) -> list[RecordedRequest]:
        """The requests for this model in order of arrival; without a model, those for the list of models."""
        recorded = self._call("requests", model)["requests"]
        return [RecordedRequest.from_wire(wire) for wire in recorded]

    def open_gate(self, gate: str) -> None:
        """Lets through all that this gate holds, and all that will come to it."""
        self._call("open_gate", gate)

    def connections(self) -> Connections:
        """The namespace's connections; on the process itself, those of all namespaces."""
        return Connections(**self._call("connections"))

    def forget(self) -> None:
        """Drops the namespace's scripts and records, and opens its gates."""
        self._call("forget")

    def wait_for_requests(
        self, model: str = MODELS, n: int = 1, timeout: float = PATIENCE
    ) -> list[RecordedRequest]:
        """All requests for this model as soon as there are `n`; TimeoutError if that takes too long."""
        self._wait("requests", model, n, timeout)
        return self.requests(model)

    def wait_for_close(
        self, model: str = MODELS, timeout: float = PATIENCE, *, n: int = 1
    ) -> list[RecordedRequest]:
        """Those requests for this model whose peers left before the end, as soon as there are `n`."""
        self._wait("closed_early", model, n, timeout)
        return [request for request in self.requests(model) if request.closed_early]

    def wait_for_finish(
        self, model: str = MODELS, timeout: float = PATIENCE, *, n: int = 1
    ) -> list[RecordedRequest]:
        """Those requests for this model whose answers were sent to the end, as soon as there are `n`."""
        self._wait("finished", model, n, timeout)
        return [request for request in self.requests(model) if request.finished]

    def wait_until_held(self, gate: str, n: int = 1, timeout: float = PATIENCE) -> None:
        """Returns once this gate holds `n` answers: all before it has been sent."""
        self._wait("held", gate, n, timeout)

    def wait_until_open(self, connections: int, timeout: float = PATIENCE) -> None:
        """Returns once exactly so many connections are open."""
        self._wait("open", "", connections, timeout)

    def _wait(self, what: str, name: str, n: int, timeout: float) -> None:
        answer = self._call("wait", name, what=what, n=n, timeout=timeout)
        if not answer["met"]:
            raise TimeoutError(f"{what} {name!r}: {answer['count']} instead of {n} after {timeout} s")

    def _call(self, operation: str, name: str = "", **fields: Any) -> dict[str, Any]:
        counts = operation == "connections" or fields.get("what") == "open"
        ask = {"namespace": (self.name or EVERYWHERE) if counts else self.name, "name": name, **fields}
        patience = fields.get("timeout", 0) + ON_TOP
        response = self._control.post(CONTROL + operation, json=ask, timeout=patience)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


class ProviderProcess(Namespace):
    """The process, and at once its nameless namespace.

    `with ProviderProcess() as provider:` starts and stops it. On Linux it also ends with the thread that
    started it, which therefore has to live as long as the tests do.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Returns once the process listens and `base_url` is known; RuntimeError where it did not come up."""
        command = [sys.executable, "-m", "tests.provider.server", "--port", "0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline() if process.stdout else ""
        word, _, port = line.strip().partition(" ")
        if word != "listening":
            process.kill()
            process.communicate()
            raise RuntimeError(f"the provider did not start: {line!r}")
        self._process = process
        root_url = f"http://127.0.0.1:{port}"
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        super().__init__(root_url, "", httpx.Client(base_url=root_url, trust_env=False, limits=limits))
        return self

    def stop(self) -> None:
        """Ends the process and all its connections; a second call does nothing."""
        if self._process is None:
            return
        self._control.close()
        self._process.terminate()
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def namespace(self, name: str | None = None) -> Namespace:
        """The namespace of this name, or a fresh one; used in a `with`, it is forgotten at the end."""
        return Namespace(self.base_url, name or uuid.uuid4().hex, self._control)


class RawPeer:
    """One connection to a provider with no client library in between, for what only raw bytes can show."""

    def __init__(self, provider: Namespace) -> None:
        url = httpx.URL(provider.base_url)
        self.path = url.path.rstrip("/")
        self.socket = socket.create_connection((url.host, url.port or 80), timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, model: str) -> Self:
        """Sends a streaming request for this model."""
        body = json.dumps({"model": model, "stream": True}).encode()
        head = f"POST {self.path}/v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)
        return self

    def read_until(self, marker: bytes | None) -> bytes:
        """Everything up to the read that brought this marker, or to the end of the connection."""
        data = b""
        while (marker is None or marker not in data) and (more := self.socket.recv(65536)):
            data += more
        return data

    def has_nothing(self) -> bool:
        """Whether there is nothing to read at this moment."""
        return not select.select([self.socket], [], [], 0)[0]
