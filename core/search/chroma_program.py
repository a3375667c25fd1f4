"""The program that holds Chroma, so that a directory is never open twice; `chroma_process` runs it.

Chroma keeps Python's interpreter lock while it writes, loads or saves its index (chroma-core/chroma#7692):
in the server's process, no thread would keep that from stopping the event loop for up to seconds. Here it
stops nobody, and conversions between lists of floats and arrays cost the server nothing either.

Requests come on standard input as pickled tuples of number, operation and arguments, answers go to standard
output as number, kind of failure or None, and value, until the input ends. Nothing of ours is imported but
the modules named `chroma_`: neither the server's settings nor its memory.
"""

import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from core.search.chroma_operations import ChromaOperations

# A server that was killed leaves a process that finishes one operation before it lets go.
_LOCK_PATIENCE_SECONDS = 2
_LOCK_FILE = "gwp-chat.lock"
_SERVER_CONNECTIONS = 4

_Request = tuple[int, str, tuple[Any, ...]]


class _Answers:
    """Sends answers, whole, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, number: int, kind: str | None, value: object) -> None:
        with self._lock:
            pickle.dump((number, kind, value), self._stream, protocol=pickle.HIGHEST_PROTOCOL)
            self._stream.flush()


def main(place: str, *, is_url: bool) -> None:
    """Take the lock of a directory, say so, and serve."""
    # A stop is told to all processes at once, but the server may still have something to write.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = _Answers(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    try:
        lock = nullcontext() if is_url else _locked(Path(place))
    except Timeout:
        answers.send(0, "locked", "another process has the lock")
        return
    except OSError as error:
        answers.send(0, "denied", str(error))
        return
    with lock:
        answers.send(0, None, None)
        _serve(place, os.fdopen(os.dup(sys.stdin.fileno()), "rb"), answers, is_url=is_url)


def _locked(directory: Path) -> AbstractContextManager[object]:
    """Of this process until the end of the context. Raises `Timeout` or `OSError`."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileLock(directory / _LOCK_FILE).acquire(timeout=_LOCK_PATIENCE_SECONDS)


def _serve(place: str, requests: BufferedReader, answers: _Answers, *, is_url: bool) -> None:
    """Answer until `requests` ends. Chroma's own writes go one at a time, so a directory gets one thread."""
    if not requests.peek(1):
        return
    # A second of work, which waits until something is asked.
    from core.search.chroma_operations import ChromaOperations  # noqa: PLC0415

    operations = ChromaOperations(place, is_url=is_url)
    with ThreadPoolExecutor(_SERVER_CONNECTIONS if is_url else 1) as pool:
        for request in _received(requests):
            pool.submit(_answer, operations, request, answers, is_url=is_url)
    operations.close()


def _received(requests: BufferedReader) -> Iterator[_Request]:
    while True:
        try:
            yield pickle.load(requests)  # noqa: S301 - our parent's
        except (EOFError, pickle.UnpicklingError):  # or it was killed in the middle of one
            return


def _answer(operations: "ChromaOperations", request: _Request, answers: _Answers, *, is_url: bool) -> None:
    number, operation, arguments = request
    try:
        value = operations.attempt(operation, arguments)
    except BaseException as error:  # noqa: BLE001 - it is told to the server, whatever it is
        kind = operations.failure_kind(error)
        answers.send(number, kind, f"{type(error).__name__}: {error}")
        if not is_url and kind != "missing":
            # Chroma may keep locks for ever after an error; the server starts this process again.
            os._exit(1)
    else:
        answers.send(number, None, value)


if __name__ == "__main__":
    main(sys.argv[2], is_url=sys.argv[1] == "url")
