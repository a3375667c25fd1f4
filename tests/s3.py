"""A server that speaks S3: moto's, in an environment of its own (`make test` installs it)."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes import end_with_parent, free_port

PROGRAM = Path(sys.prefix) / "s3" / "bin" / "moto_server"
START_SECONDS = 60.0
BUCKET = "attachments"


class S3Process:
    """The server, with one empty bucket whenever it starts."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.settings = {
            "CHAT_FILES_URL": f"s3://{BUCKET}/chat",
            "CHAT_FILES_ENDPOINT": self.url,
            "CHAT_FILES_ACCESS_KEY_ID": "key",
            "CHAT_FILES_SECRET_ACCESS_KEY": "secret",
        }

    def start(self) -> None:
        """Start, and return once the bucket is there."""
        self._process = subprocess.Popen(
            [str(PROGRAM), "-p", str(self._port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.put(f"{self.url}/{BUCKET}").raise_for_status()
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def names(self) -> list[str]:
        """What the bucket holds."""
        listed = httpx.get(f"{self.url}/{BUCKET}").text
        return [part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]]


@contextmanager
def s3() -> Iterator[S3Process]:
    """The server, started; skips the test where it is not installed."""
    if not PROGRAM.exists() and not os.environ.get("CHAT_TEST_NEEDS_ALL"):
        pytest.skip("needs moto's server: make test")
    server = S3Process()
    server.start()
    try:
        yield server
    finally:
        server.kill()
