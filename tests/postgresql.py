"""A real PostgreSQL server out of a wheel: no root and nothing installed needed."""

import importlib.util
import os
import queue
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from core.db.migrate import migrate
from tests.processes import end_with_parent

NOBODY = 65534
READY = "database system is ready to accept connections"


@contextmanager
def migrated(engine: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database with all tables, on `sqlite` (a file in `directory`) or `postgresql`."""
    with postgresql() if engine == "postgresql" else nullcontext(f"sqlite:///{directory / 'app.db'}") as url:
        migrate(url)
        yield url


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database, whose server ends with the block or with this process."""
    spec = importlib.util.find_spec("pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    programs = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    # Not pytest's directory: PostgreSQL refuses to run as root, and its user must reach the data.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        directory = Path(name)
        user: dict[str, Any] = {}
        if os.getuid() == 0:
            directory.chmod(0o755)
            os.chown(directory, NOBODY, NOBODY)
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        subprocess.run(
            [
                *(str(programs / "initdb"), "--auth=trust", "-E", "UTF8", "--locale-provider=builtin"),
                *("--locale=C.UTF-8", "--no-sync", "-U", "postgres", "-D", str(directory / "data")),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **user,
        )
        port = _free_port()
        server = subprocess.Popen(
            [
                *(str(programs / "postgres"), "-D", str(directory / "data"), "-p", str(port)),
                *("-k", str(directory), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
            ],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
            **user,
        )
        ready: queue.Queue[bool] = queue.Queue()
        reader = threading.Thread(target=_read, args=(server, ready))
        reader.start()
        try:
            assert ready.get(timeout=30)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(
                signal.SIGINT
            )  # at once: SIGTERM waits for connections that a failed test left
            server.wait()
            reader.join()


def _read(server: subprocess.Popen[str], ready: queue.Queue[bool]) -> None:
    """Read the log to its end, so that the server never waits for us, and tell when it is ready."""
    assert server.stderr is not None
    with server.stderr as lines:
        for line in lines:
            if READY in line:
                ready.put(True)
    ready.put(False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
