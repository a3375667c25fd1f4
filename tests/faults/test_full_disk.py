"""The disk of a SQLite server is full while it writes fifty answers, and then has room again."""

import errno
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import FileIO
from pathlib import Path

import pytest

from tests.provider.client import ProviderProcess
from tests.runs.following import poll
from tests.scale.fleet import STREAMS, WHOLE, Fleet, assert_told
from tests.servers import ServerProcess

DISK_BYTES = 16 * 2**20
PIECE = b"\0" * 4096


class SmallDisk:
    """A file system of its own, which `fill` leaves no byte of."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._filler = directory / "filler"

    def fill(self, server: ServerProcess) -> None:
        del server
        with self._filler.open("wb", buffering=0) as file:
            while self._has_taken(file):
                pass

    def empty(self, server: ServerProcess) -> None:
        del server
        self._filler.unlink()

    def _has_taken(self, file: FileIO) -> bool:
        try:
            file.write(PIECE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return False
        return True


class Quota:
    """A limit to how large the files of the server may be, which `fill` sets to nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self, server: ServerProcess) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def empty(self, server: ServerProcess) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


Disk = SmallDisk | Quota


@contextmanager
def small_disk(directory: Path) -> Iterator[Disk]:
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(directory)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"only a privileged user mounts a file system: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@contextmanager
def quota(directory: Path) -> Iterator[Disk]:
    yield Quota(directory)


@pytest.mark.parametrize("new_disk", [small_disk, quota])
def test_answers_go_on_while_the_disk_is_full_and_are_stored_once_it_is_not(
    new_disk: Callable[[Path], AbstractContextManager[Disk]],
    tmp_path: Path,
    provider: ProviderProcess,
    model: str,
) -> None:
    directory = tmp_path / "disk"
    directory.mkdir()
    settings = {
        "CHAT_DATABASE_URL": f"sqlite:///{directory / 'app.db'}",
        "CHAT_ATTACHMENTS_STORAGE_DIR": str(directory / "storage"),
        "CHAT_SEARCH_ENABLED": "false",
        "CHAT_LLM_TIMEOUT_SECONDS": "60",
    }
    with (
        new_disk(directory) as disk,
        ServerProcess(tmp_path, f"{provider.base_url}/v1", settings) as server,
    ):
        fleet = Fleet([server], provider, model)
        try:
            disk.fill(server)
            refused = lambda: fleet.clients[0].post("/api/threads", json={}).status_code == 503  # noqa: E731
            poll(refused, "nothing is acknowledged that is not stored")
            fleet.open_first()
            answer = fleet.clients[0].send_message(fleet.threads[0], "Lost?", model="echo")
            assert answer.status_code == 503, answer.text
            disk.empty(server)
            fleet.open_second()

            assert_told(fleet.stories(), [WHOLE] * STREAMS)
            for number in range(STREAMS):
                assert fleet.stored(number) == ("completed", [WHOLE, f"Question {number}"])
            assert fleet.clients[0].send_message(fleet.threads[0], "And now?", model="echo").is_success
        finally:
            fleet.close()
