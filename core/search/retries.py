"""Work that goes on, whatever it raises, and that tells how it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from core.errors import Unavailable
from core.logs import get_logger

# What is out of reach is asked for again soon; a fault of ours rarely mends itself, and logs a traceback.
LONGEST_PAUSE, LONGEST_PAUSE_AFTER_A_FAULT = 30.0, 300.0
PATIENCE_SECONDS = 20
FIRST_PAUSE_SECONDS = 1.0
_FAULT = "The search index met an internal error, which the log describes; it tries again by itself"

_logger = get_logger(__name__)


@dataclass(slots=True)
class Pauses:
    """Ever longer pauses."""

    first: float = FIRST_PAUSE_SECONDS
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have a short one next."""
        self._next = self.first

    def take(self, longest: float) -> float:
        """The seconds of the next one."""
        taken = min(self._next, longest)
        self._next = taken * 2
        return taken


class RetriedWork:
    """Work that is done piece by piece; the log knows it as `subject`."""

    def __init__(
        self, subject: str, work: Callable[[], Awaitable[bool]], first_pause: float = FIRST_PAUSE_SECONDS
    ) -> None:
        self._subject = subject
        self._work = work
        self._pauses = Pauses(first_pause)
        # Why the last piece was not done, in words for operators; None if it was.
        self.trouble: str | None = None
        self._trouble_since = 0.0
        self._is_logged = False

    async def catch_up(self) -> None:
        """Work until nothing is left, which the work says by False; raises nothing but its cancellation."""
        while True:
            try:
                is_more = await self._work()
            except Unavailable as error:
                await self._wait_for(str(error))
            except asyncio.CancelledError as stray:
                if _is_being_cancelled():
                    raise
                # Not meant for us, such as of somebody's future: it would end the loop without a word.
                await self._recover_from(stray)
            except Exception as fault:  # noqa: BLE001 - it must not end the index, and is logged and told
                await self._recover_from(fault)
            else:
                self._works()
                if not is_more:
                    return

    async def _wait_for(self, trouble: str) -> None:
        """Wait for what is out of reach; the log hears of it once it lasts, as a model may still start."""
        self._note(trouble)
        if not self._is_logged and time.monotonic() - self._trouble_since > PATIENCE_SECONDS:
            _logger.warning("search index does not work", subject=self._subject, reason=trouble)
            self._is_logged = True
        await asyncio.sleep(self._pauses.take(LONGEST_PAUSE))

    async def _recover_from(self, fault: BaseException) -> None:
        """Tell of an exception that nobody has named, and wait."""
        self._note(_FAULT)
        pause = self._pauses.take(LONGEST_PAUSE_AFTER_A_FAULT)
        _logger.error(
            "internal error in the search index",
            subject=self._subject,
            again_in_seconds=pause,
            exc_info=fault,
        )
        self._is_logged = True
        await asyncio.sleep(pause)

    def _note(self, trouble: str) -> None:
        if self.trouble is None:
            self._trouble_since = time.monotonic()
        self.trouble = trouble

    def _works(self) -> None:
        self._pauses.begin_anew()
        self.trouble = None
        if self._is_logged:
            _logger.info("search index works again", subject=self._subject)
            self._is_logged = False


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
