"""The log of a finished run, made of what the database kept of it: its text and its end."""

from core.db.records import Run, RunStatus
from core.runs.events import Batch, Cursor, Event, EventKind, RunEnd, Snapshot


class StoredReader:
    """Gives one snapshot and the end, or only what a cursor has not seen of them."""

    def __init__(self, run: Run, text: str, after: Cursor | None) -> None:
        self._run = run
        self._text = text
        self._last_seq = max(run.last_seq, 1)
        seen = after.seq if after is not None and after.epoch == run.epoch else 0
        self._seen = min(seen, self._last_seq)
        self.done = self._seen == self._last_seq

    async def next(self, timeout: float | None = None) -> Batch | Snapshot | None:
        """See `Reader.next`; nothing here has to be waited for."""
        del timeout
        if self.done:
            return None
        if self._seen < self._last_seq - 1:
            self._seen = self._last_seq - 1
            return Snapshot(self._text, self._seen, self._run.status)
        self._seen = self._last_seq
        self.done = True
        return Batch(self._last_seq, [Event(EventKind.END, end=RunEnd.of(self._run))])

    @property
    def cursor(self) -> Cursor:
        """See `Reader.cursor`."""
        return Cursor(self._run.epoch, self._seen)

    @property
    def status(self) -> RunStatus:
        """See `Reader.status`."""
        return self._run.status
