"""The log of a run: one writer appends, any number of readers follow at their own pace."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.db.records import RunStatus
from core.runs.events import Batch, Cursor, Event, Snapshot


class Fenced(Exception):
    """The writer's epoch is over: the run was given up for dead and belongs to another."""


class Reader(Protocol):
    """One reader's place in one log. Several waiting events come at once."""

    done: bool
    """Whether the end was given, or had been seen before: nothing will follow."""

    async def next(self, timeout: float | None = None) -> Batch | Snapshot | None:
        """What comes next, or None after `timeout` seconds of silence.

        A snapshot comes where the events that should come next are no longer kept; live events
        follow it without a gap.
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

    def reader(self, run_id: UUID, after: Cursor | None) -> Reader | None:
        """A reader of what follows `after`; None if this log is not, or no longer, kept."""
        ...

    def forget(self, run_id: UUID) -> None:
        """Drop a log that was opened for nothing."""
        ...

    def purge(self) -> None:
        """Drop the logs of runs that ended long enough ago."""
        ...
