"""What happens in a run, in the order in which every reader sees it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from uuid import UUID

import msgspec

from core.db.records import Run, RunStatus
from core.errors import CursorInvalid

INTERNAL_ERROR = "INTERNAL"
SERVER_STOPPED = "SERVER_STOPPED"


class EventKind(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    CHUNK = "chunk"
    END = "end"


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended; it is saved before anyone is told."""

    status: RunStatus
    error_code: str | None = None
    error: str | None = None
    assistant_message_id: UUID | None = None
    # The provider's own last word was `completed` or `interrupted`: nobody need add one.
    provider_said_so: bool = False

    @property
    def is_our_fault(self) -> bool:
        """Whether the failure is this server's and not the provider's."""
        return self.error_code in (INTERNAL_ERROR, SERVER_STOPPED)

    @staticmethod
    def of(run: Run) -> "RunEnd":
        """The end of a run that is finished."""
        return RunEnd(run.status, run.error_code, run.error, run.assistant_message_id)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One entry of a run's log. `raw` is the chunk as JSON on one line; `text` what it adds.

    Logs hold many of them: the garbage collector, which would walk along them all, passes them over.
    """

    kind: EventKind
    raw: bytes = b""
    text: str = ""
    end: RunEnd | None = None


class Batch(NamedTuple):
    """Events that follow one another; the first has number `first_seq`."""

    first_seq: int
    events: Sequence[Event]

    @property
    def last_seq(self) -> int:
        """The number of the last event."""
        return self.first_seq + len(self.events) - 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All text up to and including event `seq`, in place of events that are no longer kept."""

    text: str
    seq: int
    status: RunStatus


_CURSOR = re.compile(r"([0-9a-f]{8})-(\d{1,9})-(\d{1,12})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log of one run, as clients keep it: `<end of run id>-<epoch>-<seq>`."""

    epoch: int
    seq: int

    def encode(self, run_id: UUID) -> str:
        """The opaque text that clients give back."""
        return f"{_tag(run_id)}-{self.epoch}-{self.seq}"

    @staticmethod
    def decode(text: str, run_id: UUID) -> "Cursor":
        """The cursor in `text`. Raises `CursorInvalid` if it is none of this run's."""
        match = _CURSOR.fullmatch(text)
        if match is None or match[1] != _tag(run_id):
            raise CursorInvalid
        return Cursor(int(match[2]), int(match[3]))


def _tag(run_id: UUID) -> str:
    # The end of a UUIDv7 is random; its beginning is the time.
    return run_id.hex[-8:]
