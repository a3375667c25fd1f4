"""The log of a run: one writer appends, any number of readers follow at their own pace."""

from collections.abc import Container, Sequence
from typing import Protocol
from uuid import UUID

from core.db.records import Run, RunStatus
from core.errors import Unavailable
from core.runs.events import Batch, Cursor, Event, RunEnd, Snapshot


class Fenced(Exception):
    """The writer's epoch is over: the run was given up for dead and belongs to another."""


class ComeBack(Unavailable):
    """The process is about to end and does not write the run: another one tells what follows."""

    code = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("The server is shutting down; go on from where you are in a moment")


class Reader(Protocol):
    """One reader's place in one log. Several waiting events come at once."""

    done: bool
    """Whether the end was given, or had been seen before: nothing will follow."""

    async def next(self, timeout: float | None = None) -> Batch | Snapshot | None:
        """What comes next, or None: after `timeout` seconds of silence, or if the end was seen before.

        A snapshot comes where the events that should come next are no longer kept; live events
        follow it without a gap. Raises `ComeBack` where it would wait for what others write.
        """
        ...

    @property
    def cursor(self) -> Cursor:
        """The place after what was given last."""
        ...

    @property
    def status(self) -> RunStatus:
        """The status of the run now."""
        ...


class EventLog(Protocol):
    """The logs of all runs that this process writes or lately wrote."""

    def open(self, run_id: UUID, epoch: int) -> None:
        """Begin a log, or take it over: from now on only this epoch may append."""
        ...

    def append(self, run_id: UUID, epoch: int, events: Sequence[Event]) -> int:
        """Add events and wake the readers; the number of the last one. Raises `Fenced`."""
        ...

    async def open_reader(self, run: Run, after: Cursor | None) -> Reader | None:
        """A reader of what follows `after`; None if this log is not, or no longer, kept.

        Of a run that has not ended, and that another process may write, there always is one.
        """
        ...

    def follow(self, run_id: UUID) -> None:
        """Note that another process may write the run of this log, which was opened here."""
        ...

    def tell_end(self, run_id: UUID, epoch: int, end: RunEnd) -> None:
        """Tell all readers the end of a run whose writer, now fenced off by `epoch`, is given up for dead."""
        ...

    def silent(self) -> list[UUID]:
        """Runs that others write and of which nothing was heard for a while: they may have ended untold."""
        ...

    def conclude(self, run_id: UUID, text: str, last_seq: int, end: RunEnd) -> None:
        """Tell the readers here what the database knows of a run that has ended; nothing if they know."""
        ...

    def let_go(self, kept: Container[UUID]) -> None:
        """Have the readers of all runs but these come back elsewhere: nothing more is written here."""
        ...

    def forget(self, run_id: UUID) -> None:
        """Drop a log that was opened for nothing."""
        ...

    def purge(self) -> object:
        """Drop the logs of runs that ended long enough ago."""
        ...
