"""Ending the runs that a dead process left behind."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from core.db.models import RunRow
from core.db.records import RunStatus
from core.db.session import Database
from core.logs import get_logger
from core.runs import ending, store
from core.runs.events import SERVER_STOPPED, RunEnd
from core.runs.writer import STOPPED_SENTENCE

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reaped:
    """A run that was ended for its writer; what waits in its thread can go on."""

    run_id: UUID
    thread_id: UUID
    epoch: int
    end: RunEnd


async def reap(db: Database, process_id: UUID, *, lease_counts: bool) -> list[Reaped]:
    """End every started run whose writer is gone: its saved text is kept, and it says what happened.

    Queued runs are left alone; nothing of them is lost. A secret that waited in the dead process is:
    such a run ends too.
    """
    reaped = await db.write(lambda session: _reap(session, process_id, lease_counts=lease_counts))
    if reaped:
        run_ids = [str(run.run_id) for run in reaped]
        _logger.warning("ended the runs of a process that died", run_ids=run_ids)
    return reaped


def _reap(session: Session, process_id: UUID, *, lease_counts: bool) -> list[Reaped]:
    reaped = []
    for run in store.orphans(session, process_id, lease_counts=lease_counts):
        # A new epoch: should the writer only have been asleep, it can write no more.
        run.epoch += 1
        run.lease_owner = process_id
        session.flush()
        end = ending.finish(session, run.id, run.epoch, _outcome(session, run))
        if end is not None:
            reaped.append(Reaped(run.id, run.thread_id, run.epoch, end))
    return reaped


def _outcome(session: Session, run: RunRow) -> store.Outcome:
    return store.Outcome(
        RunStatus.FAILED,
        text=store.saved_text(session, run.id),
        error_code=SERVER_STOPPED,
        error=STOPPED_SENTENCE,
        last_seq=run.last_seq + 1,
        first_token_at=run.first_token_at,
    )
