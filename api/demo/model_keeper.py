"""Keeps a model of the demo there: one that has ended is started again, after ever longer pauses."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from api.demo.model_process import ModelProcess, ModelProcessError, ModelRefused
from core.search.retries import Pauses

LONGEST_PAUSE = 60.0
# One that answered for so long is told of when it ends again, and waited for no longer than at first.
STEADY_SECONDS = 60.0


class ModelKeeper:
    """Looks after one model that was started, from a thread of its own; `with` ends both.

    `tell` hears one sentence when the model ends, and None when it answers again, but nothing more if it
    ends again and again. One that refuses to start, and never answered, is told of and given up.
    """

    def __init__(
        self,
        model: ModelProcess,
        tell: Callable[[str | None], None],
        *,
        start_seconds: float,
        first_pause: float = 1.0,
    ) -> None:
        self._model = model
        self._tell = tell
        self._start_seconds = start_seconds
        self._pauses = Pauses(first_pause)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._has_answered = False
        self._answered_at: float | None = None
        # What `tell` has heard of the model's troubles since it was steady.
        self._end_is_told = self._return_is_told = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return at once; from now on the model is looked after."""
        # It lasts as long as the model should: Linux ends a child with the thread that started it.
        self._thread = threading.Thread(target=self._keep, name="model-keeper", daemon=True)
        self._thread.start()

    def stop(self, grace: float = 5.0) -> None:
        """End the model, and do not start it again; nothing is told of this end."""
        with self._lock:  # no child is just being started
            self._stopping.set()
        self._model.terminate(grace)
        if self._thread is not None:
            self._thread.join()  # it reads the pipes
            self._thread = None
        self._model.stop(grace)

    def _keep(self) -> None:
        while (end := self._life()) is not None and not self._stopping.is_set():
            self._model.stop()  # one that did not answer in time is still there
            if isinstance(end, ModelRefused) and not self._has_answered:
                self._tell(str(end))
                return
            if self._was_steady():
                self._pauses.begin_anew()
                self._end_is_told = self._return_is_told = False
            if not self._end_is_told:
                self._end_is_told = True
                self._tell(f"{end}. It will be started again")
            if self._stopping.wait(self._pauses.take(LONGEST_PAUSE)):
                return

    def _life(self) -> ModelProcessError | None:
        """How the model ended, which is started if it does not run; None if it is to be stopped."""
        self._answered_at = None
        try:
            with self._lock:
                if self._stopping.is_set():
                    return None
                self._model.start_prepared()
            self._model.wait_until_ready(self._start_seconds)
            self._answers()
            return self._model.wait_until_end()
        except ModelProcessError as error:
            return error

    def _answers(self) -> None:
        self._has_answered, self._answered_at = True, time.monotonic()
        if self._end_is_told and not self._return_is_told:
            self._return_is_told = True
            self._tell(None)

    def _was_steady(self) -> bool:
        return self._answered_at is not None and time.monotonic() - self._answered_at >= STEADY_SECONDS
