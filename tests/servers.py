"""The server under test as a real process, reached over a real socket."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.clients import Client
from tests.processes import end_with_parent

SECRET = "a secret of the tests, long enough for HS256"
PASSWORD = "correct horse battery"
START_SECONDS = 30
STOP_SECONDS = 30


class ServerProcess:
    """`gwp-chat serve` on a free port, with a SQLite file and storage in `directory`.

    Settings are given as `CHAT_*` variables; stderr goes to `directory/server.log`. The code is that of this
    repository, or of the directory that another installation's `packages` are in.
    """

    def __init__(
        self,
        directory: Path,
        provider_url: str,
        settings: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        packages: Path = Path(__file__).parents[1],
    ) -> None:
        self.directory = directory
        self.log_file = directory / "server.log"
        self._arguments = arguments
        self._packages = packages
        self._settings = {
            "CHAT_DATABASE_URL": f"sqlite:///{directory / 'app.db'}",
            "CHAT_ATTACHMENTS_STORAGE_DIR": str(directory / "storage"),
            "CHAT_JWT_SECRET_KEY": SECRET,
            # The cheapest that is allowed: most tests begin with an account of their own.
            "CHAT_ARGON2_MEMORY_KIB": "7168",
            "CHAT_ARGON2_ITERATIONS": "1",
            "CHAT_LLM_API_BASE": provider_url,
            "CHAT_LLM_TIMEOUT_SECONDS": "5",
            **(settings or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self._logged = threading.Condition()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def database_url(self) -> str:
        return self._settings["CHAT_DATABASE_URL"]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its process."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
        return {**others, **self._settings, "PYTHONPATH": str(self._packages)}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start, and return once requests are answered. Raises AssertionError with the log if it ends."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "api", "serve", "--port", "0", *self._arguments],
            cwd=self.directory,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
        listening: queue.Queue[int | None] = queue.Queue()
        self._tee = threading.Thread(target=self._keep_log, args=(self._process, listening), daemon=True)
        self._tee.start()
        port = listening.get(timeout=START_SECONDS)
        if port is None:
            raise AssertionError(f"the server ended: {self.log_file.read_text(encoding='utf-8')}")
        self._port = port
        return self

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: as a power cut would."""
        self._end(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(STOP_SECONDS)

    def client(self, token: str | None = None) -> Client:
        """A client of this server, signed in with `token`."""
        return Client(self.url, token)

    def admin(self) -> Client:
        """A client of the first account, which is made if there is none."""
        client = self.client()
        client.post("/api/auth/register", json={"username": "admin", "password": PASSWORD})
        return client.sign_in("admin", PASSWORD)

    def log_lines(self) -> list[dict[str, Any]]:
        """The structured log so far, but for a line that is being written."""
        lines = self.log_file.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def wait_for_log(self, **fields: Any) -> dict[str, Any]:
        """The first log line with these fields, once it is there."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.log_lines() if fields.items() <= line.items()), None)

        with self._logged:
            assert self._logged.wait_for(lambda: found() is not None, timeout=10), fields
        line = found()
        assert line is not None
        return line

    def _keep_log(self, process: subprocess.Popen[str], listening: queue.Queue[int | None]) -> None:
        """Copy stderr to the log file, and tell the port once the server listens, None if it ends."""
        assert process.stderr is not None
        with self.log_file.open("a", encoding="utf-8") as log, process.stderr as lines:
            for line in lines:
                log.write(line)
                log.flush()
                with self._logged:
                    self._logged.notify_all()
                if '"event": "listening"' in line:
                    listening.put(json.loads(line)["port"])
        listening.put(None)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._tee.join()
            self._process = None
