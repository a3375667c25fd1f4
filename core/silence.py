"""Noticing that nothing is heard any more, where much is: one timer for a whole stream."""

import asyncio
from collections.abc import Callable


class SilenceTimer:
    """Calls back when what is expected does not come.

    The timer is set anew when it goes off, and not at each sign of life: those are far more frequent.
    """

    def __init__(self, on_silence: Callable[[], None]) -> None:
        self._on_silence = on_silence
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None

    def expect(self, seconds: float) -> None:
        """Call back after so many seconds, unless one of these methods is called before."""
        loop = asyncio.get_running_loop()
        self._deadline = deadline = loop.time() + seconds
        if self._timer is None or self._timer.when() > deadline:
            self._set(loop, deadline)

    def rest(self) -> None:
        """Expect nothing for now."""
        self._deadline = None

    def stop(self) -> None:
        """Expect nothing any more."""
        self._deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(deadline, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._deadline is None:
            return  # what is expected next sets another
        if loop.time() < self._deadline:
            self._set(loop, self._deadline)
        else:
            self._deadline = None
            self._on_silence()
