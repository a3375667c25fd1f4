"""A real PostgreSQL server out of a wheel: no root and nothing installed needed."""

import importlib.util
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

from core.db.migrate import migrate
from tests.processes import end_with_parent, free_port

NOBODY = 65534
READY = "database system is ready to accept connections"


@contextmanager
def migrated(engine: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database with all tables, on `sqlite` (a file in `directory`) or `postgresql`."""
    with postgresql() if engine == "postgresql" else nullcontext(f"sqlite:///{directory / 'app.db'}") as url:
        migrate(url)
        yield url


class PostgreSQLProcess:
    """A server with an empty database; it keeps its port and its data when it is started again."""

    def __init__(self, directory: Path) -> None:
        spec = importlib.util.find_spec("pgserver")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        self._programs = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        self._directory = directory
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            directory.chmod(0o755)
            os.chown(directory, NOBODY, NOBODY)
            self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        subprocess.run(
            [
                *(str(self._programs / "initdb"), "--auth=trust", "-E", "UTF8", "--locale-provider=builtin"),
                *("--locale=C.UTF-8", "--no-sync", "-U", "postgres", "-D", str(directory / "data")),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **self._user,
        )
        self.port = free_port()

    def url(self, port: int | None = None) -> str:
        """The URL of its database, or of what stands for it on another port."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/postgres"

    def start(self) -> Self:
        """Start, and return once connections are taken."""
        self._server = subprocess.Popen(
            [
                *(
                    str(self._programs / "postgres"),
                    "-D",
                    str(self._directory / "data"),
                    "-p",
                    str(self.port),
                ),
                *("-k", str(self._directory), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
            ],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
            **self._user,
        )
        ready: queue.Queue[bool] = queue.Queue()
        self._reader = threading.Thread(target=_read, args=(self._server, ready))
        self._reader.start()
        assert ready.get(timeout=30)
        return self

    def stop(self) -> None:
        """End it at once: SIGTERM would wait for connections that a failed test left."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait()
        self._reader.join()


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database, whose server ends with the block or with this process."""
    with postgresql_process() as server:
        yield server.url()


@contextmanager
def postgresql_process() -> Iterator[PostgreSQLProcess]:
    """The server itself, started."""
    # Not pytest's directory: the user that it runs as must reach the data.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        server = PostgreSQLProcess(Path(name)).start()
        try:
            yield server
        finally:
            server.stop()


def _read(server: subprocess.Popen[str], ready: queue.Queue[bool]) -> None:
    """Read the log to its end, so that the server never waits for us, and tell when it is ready."""
    assert server.stderr is not None
    with server.stderr as lines:
        for line in lines:
            if READY in line:
                ready.put(True)
    ready.put(False)
