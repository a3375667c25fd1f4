"""Several processes behind one socket: replaced when they die, restarted one after the other on SIGHUP."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from types import FrameType

from core.logs import get_logger

POLL_SECONDS = 0.2
READY_SECONDS = 60.0
# While none has ever served, so many may die before all is given up.
MOST_FAILED = 5
# Between the starts of those that die before they serve, as while an engine is away, or so soon after.
SOON_SECONDS = 5.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0

_logger = get_logger(__name__)

Work = Callable[[socket.socket, Callable[[], None]], None]


class WorkersFailed(Exception):
    """No process ever came to serve; their own logs say why."""


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    ready: "multiprocessing.connection.Connection[None, None]"
    served_at: float | None = None
    told: int = 0
    """How often it was told to end."""
    again_at: float | None = None
    """When the next one takes its place, once it is known to be dead."""


class Workers:
    """`count` processes that all run `work` on the same listening socket.

    `work` gets the socket and a function to call once it serves; it must end on SIGTERM.
    """

    def __init__(self, work: Work, bound: socket.socket, count: int) -> None:
        self._work = work
        self._bound = bound
        self._count = count
        self._workers: list[_Worker] = []
        self._leaving: list[_Worker] = []
        self._stop_signals = 0
        self._is_restart_wanted = False
        self._has_any_served = False
        self._failed = 0

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C, and until all have drained. Raises `WorkersFailed`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._restart)
        try:
            self._workers = [self._start() for _ in range(self._count)]
            while not self._stop_signals:
                self._wait()
                self._replace_dead()
                if self._is_restart_wanted:
                    self._is_restart_wanted = False
                    self._restart_all()
        finally:
            self._end_all()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signals += 1

    def _restart(self, _number: int, _frame: FrameType | None) -> None:
        self._is_restart_wanted = True

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(self._work, self._bound, theirs), name="gwp-chat worker")
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _wait(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._workers if worker.again_at is None]
        multiprocessing.connection.wait(sentinels, timeout=POLL_SECONDS)
        for worker in self._workers:
            self._look_whether_it_serves(worker, 0)

    def _look_whether_it_serves(self, worker: _Worker, seconds: float) -> bool:
        """Whether it says that it serves, or has said so; False, too, if it ended before."""
        if worker.served_at is None and worker.ready.poll(seconds):
            with contextlib.suppress(EOFError):
                worker.ready.recv()
                worker.served_at, self._has_any_served = time.monotonic(), True
        return worker.served_at is not None

    def _replace_dead(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.process.is_alive() or self._stop_signals:
                continue
            if worker.again_at is None:
                pause = self._pause_after(worker)
                worker.again_at = time.monotonic() + pause
                _logger.error(
                    "worker died",
                    pid=worker.process.pid,
                    status=worker.process.exitcode,
                    again_in_seconds=pause,
                )
            if time.monotonic() >= worker.again_at:
                worker.ready.close()
                self._workers[place] = self._start()

    def _pause_after(self, dead: _Worker) -> float:
        if dead.served_at is not None and time.monotonic() - dead.served_at > SOON_SECONDS:
            self._failed = 0
            return 0.0
        self._failed += 1
        if self._failed >= MOST_FAILED and not self._has_any_served:
            raise WorkersFailed("processes die before they serve; see the log above")
        doublings = min(self._failed // self._count, 10)  # those of one outage fail together
        return float(min(SHORTEST_PAUSE_SECONDS * 2**doublings, LONGEST_PAUSE_SECONDS))

    def _restart_all(self) -> None:
        """Have each process replaced by a new one that serves before the old one drains."""
        for place in range(self._count):
            new = self._start()
            if not self._becomes_ready(new):
                if self._stop_signals:
                    self._leaving.append(new)
                    return
                _logger.error("restart given up: the new process does not serve", pid=new.process.pid)
                new.process.kill()
                new.process.join()
                return
            old, self._workers[place] = self._workers[place], new  # as it is now: one may have died meanwhile
            self._leaving.append(old)
            _tell(old, 1)
            while old.process.is_alive() and not self._stop_signals:
                old.process.join(POLL_SECONDS)
                self._replace_dead()
            if self._stop_signals:
                return
            self._leaving.remove(old)
            old.ready.close()
            _logger.info("worker replaced", old=old.process.pid, new=new.process.pid)

    def _becomes_ready(self, worker: _Worker) -> bool:
        """Whether it says that it serves, before it ends or time is up."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._stop_signals:
            if self._look_whether_it_serves(worker, POLL_SECONDS):
                return True
            if not worker.process.is_alive():
                return False
        return False

    def _end_all(self) -> None:
        """SIGTERM to all; again whenever it is asked for again: then they do not wait for answers."""
        everyone = self._workers + self._leaving
        while living := [worker for worker in everyone if worker.process.is_alive()]:
            for worker in living:
                _tell(worker, max(1, self._stop_signals))
            living[0].process.join(POLL_SECONDS)


def _tell(worker: _Worker, times: int) -> None:
    """Tell it to end, unless it was told so many times already."""
    if worker.told < times and worker.process.is_alive() and worker.process.pid is not None:
        worker.told += 1
        os.kill(worker.process.pid, signal.SIGTERM)


def _run(
    work: Work, bound: socket.socket, ready: "multiprocessing.connection.Connection[None, None]"
) -> None:
    # Ctrl-C in a terminal reaches every process; who decides is the one that started them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()
    work(bound, lambda: ready.send(None))


def _end_with_parent() -> None:
    """A process that nobody would replace or stop drains and ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
