"""The process that holds Chroma, seen from the server: asked over pipes, by threads of its own."""

import asyncio
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.logs import get_logger

_logger = get_logger(__name__)

_PROGRAM = "core.search.chroma_program"
_END_SECONDS = 15


class ChromaFailed(Exception):
    """What was asked for was not done: `kind` is one of the program's, or `stopped` if the process ended."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class ChromaProcess:
    """One process from its start to its end, the thread that hears it and the thread that speaks to it."""

    def __init__(self) -> None:
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._speaker = ThreadPoolExecutor(1, thread_name_prefix="vectors-speak")
        self._listener: threading.Thread | None = None

    async def start(self, place: str, *, is_url: bool) -> None:
        """Return when the process holds what it shall hold. Raises `ChromaFailed`."""
        hello = self._answer(0)
        await self._loop.run_in_executor(self._speaker, self._start, "url" if is_url else "directory", place)
        await hello

    def _start(self, kind: str, place: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            # With -P, and in a directory without an `.env`: where the server was started, there may be a
            # folder `core` that is not ours, and Chroma would read the `.env`.
            [sys.executable, "-P", "-m", _PROGRAM, kind, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent,
            # Arenas of the allocator keep what was freed: as much as a tenth of the vectors' bytes.
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )
        self._listener = threading.Thread(target=self._listen, name="vectors-listen", daemon=True)
        self._listener.start()

    async def ask(self, operation: str, arguments: tuple[object, ...]) -> Any:
        """What the operation answers. Raises `ChromaFailed`."""
        self._number += 1
        number = self._number
        answer = self._answer(number)
        try:
            await self._loop.run_in_executor(self._speaker, self._speak, (number, operation, arguments))
            return await answer
        finally:
            self._waiting.pop(number, None)

    def kill(self) -> None:
        """End it at once; what it was asked fails as `stopped`."""
        self._process.kill()

    async def end(self) -> None:
        """Let the process finish what it was asked, and wait for its end."""
        await self._loop.run_in_executor(self._speaker, self._end)
        self._speaker.shutdown(wait=False)

    def _end(self) -> None:
        if self._listener is None:
            return
        assert self._process.stdin is not None  # noqa: S101 - as it was started
        with contextlib.suppress(OSError):  # it ended before it had read everything
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._listener.join()

    def _answer(self, number: int) -> asyncio.Future[Any]:
        answer = self._waiting[number] = self._loop.create_future()
        # Who asked may have given up, and then nobody looks at the error.
        answer.add_done_callback(lambda given: given.cancelled() or given.exception())
        return answer

    def _speak(self, message: tuple[int, str, tuple[object, ...]]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - as it was started
        try:
            pickle.dump(message, self._process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except (OSError, ValueError):  # its end of the pipe, or ours, is closed
            self.ended = True
            raise ChromaFailed("stopped") from None

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - as it was started
        with self._process.stdout as answers:
            while True:
                try:
                    number, kind, value = pickle.load(answers)  # noqa: S301 - our own child's
                except (EOFError, OSError, pickle.UnpicklingError):
                    break
                self._tell(self._settle, number, kind, value)
        self._process.wait()
        self._tell(self._settle_all)

    def _tell(self, settle: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(settle, *arguments)

    def _settle(self, number: int, kind: str | None, value: Any) -> None:
        answer = self._waiting.pop(number, None)
        if answer is None or answer.done():
            return
        if kind is None:
            answer.set_result(value)
        else:
            _logger.warning("vector store failed", kind=kind, error=value)
            answer.set_exception(ChromaFailed(kind))

    def _settle_all(self) -> None:
        self.ended = True
        for number in list(self._waiting):
            self._settle(number, "stopped", f"exit status {self._process.returncode}")
