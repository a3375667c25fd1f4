"""Several processes behind one socket: replaced when they die, restarted one after the other on SIGHUP."""

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
# A process that dies so soon after its start would do so again.
SOON_SECONDS = 5.0
MOST_SOON = 5

_logger = get_logger(__name__)

Work = Callable[[socket.socket, Callable[[], None]], None]


class WorkersFailed(Exception):
    """Processes die as soon as they are started; their own logs say why."""


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    ready: "multiprocessing.connection.Connection[None, None]"
    started_at: float


class Workers:
    """`count` processes that all run `work` on the same listening socket.

    `work` gets the socket and a function to call once it serves; it must end on SIGTERM.
    """

    def __init__(self, work: Work, bound: socket.socket, count: int) -> None:
        self._work = work
        self._bound = bound
        self._count = count
        self._workers: list[_Worker] = []
        self._stop_signals = 0
        self._told_signals = 0
        self._is_restart_wanted = False
        self._died_soon = 0

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
        return _Worker(process, ours, time.monotonic())

    def _wait(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._workers]
        multiprocessing.connection.wait(sentinels, timeout=POLL_SECONDS)

    def _replace_dead(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.process.is_alive() or self._stop_signals:
                continue
            _logger.error("worker died", pid=worker.process.pid, status=worker.process.exitcode)
            if time.monotonic() - worker.started_at < SOON_SECONDS:
                self._died_soon += 1
                if self._died_soon >= MOST_SOON:
                    raise WorkersFailed("processes die as soon as they are started; see the log above")
            else:
                self._died_soon = 0
            worker.ready.close()
            self._workers[place] = self._start()

    def _restart_all(self) -> None:
        """Have each process replaced by a new one that serves before the old one drains."""
        for place, old in enumerate(list(self._workers)):
            new = self._start()
            if not self._becomes_ready(new):
                _logger.error("restart given up: the new process does not serve", pid=new.process.pid)
                new.process.kill()
                new.process.join()
                return
            self._workers[place] = new
            _signal(old, signal.SIGTERM)
            old.process.join()
            old.ready.close()
            _logger.info("worker replaced", old=old.process.pid, new=new.process.pid)

    def _becomes_ready(self, worker: _Worker) -> bool:
        """Whether it says that it serves, before it ends or time is up."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._stop_signals:
            if worker.ready.poll(POLL_SECONDS):
                try:
                    worker.ready.recv()
                except EOFError:
                    return False
                return True
        return False

    def _end_all(self) -> None:
        """SIGTERM to all; again whenever it is asked for again: then they do not wait for answers."""
        while living := [worker for worker in self._workers if worker.process.is_alive()]:
            if self._told_signals <= self._stop_signals:
                self._told_signals = self._stop_signals + 1
                for worker in living:
                    _signal(worker, signal.SIGTERM)
            living[0].process.join(POLL_SECONDS)


def _signal(worker: _Worker, number: signal.Signals) -> None:
    if worker.process.is_alive() and worker.process.pid is not None:
        os.kill(worker.process.pid, number)


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
