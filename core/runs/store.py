"""The rows of runs: queued, claimed, saved in between, finished. Callers commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from core.db.changes import touch
from core.db.clock import shared_now
from core.db.inserting import insert_now
from core.db.mapping import to_run
from core.db.models import MessageRow, RunPartRow, RunRow, ThreadRow, now
from core.db.reading import rows
from core.db.records import MessageStatus, Run, RunStatus, SenderType
from core.errors import QueueFull

LEASE = timedelta(seconds=15)
FORSAKEN = timedelta(seconds=5)


STARTED = (RunStatus.RUNNING, RunStatus.STREAMING)

_WAITING: Final = (
    select(func.count())
    .select_from(RunRow)
    .where(RunRow.thread_id == bindparam("of_thread"), RunRow.finished_at.is_(None))
)
_LOCK: Final = select(ThreadRow.id).where(ThreadRow.id == bindparam("of_thread")).with_for_update()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the work of a run ended, and what is to be kept of it."""

    status: RunStatus
    text: str = ""
    error_code: str | None = None
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    response_id: str | None = None
    conversation_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    asked_for_secret: bool = False
    provider_said_so: bool = False
    last_seq: int = 0
    first_token_at: datetime | None = None


def check_queue(session: Session, thread_id: UUID, limit: int) -> bool:
    """Whether nothing is before a new run of this thread, whose row must be locked. Raises `QueueFull`."""
    waiting = session.connection().execute(_WAITING, {"of_thread": thread_id}).scalar() or 0
    if waiting >= limit:
        raise QueueFull(limit)
    return not waiting


def enqueue(session: Session, run: RunRow, claim_for: UUID | None) -> None:
    """Insert a run behind the unfinished ones of its thread, claimed for a process if one is named."""
    if claim_for is not None:
        _give(session, run, claim_for)
    insert_now(session, run)


def turn(run: type[RunRow] = RunRow) -> tuple[ColumnElement[Any], ...]:
    """What to order the unfinished runs of a thread by: one that was begun is always the first.

    Several runs may answer one question; ids alone would not do, where clocks differ.
    """
    return run.position.asc(), run.started_at.is_(None).asc(), run.id.asc()


_FIRST: Final = (
    select(RunRow.id, RunRow.status)
    .where(RunRow.thread_id == bindparam("of_thread"), RunRow.finished_at.is_(None))
    .order_by(*turn())
    .limit(1)
)


def get(session: Session, run_id: UUID) -> Run:
    """The run, whoever writes it."""
    return to_run(session.get_one(RunRow, run_id))


def claim_next(session: Session, thread_id: UUID, process_id: UUID) -> Run | None:
    """Claim the thread's first unfinished run if it waits; None if it is at work or there is none."""
    # Who holds the thread's row decides: elsewhere than on SQLite, two could find the same run waiting.
    rows(session, _LOCK, {"of_thread": thread_id})
    first = rows(session, _FIRST, {"of_thread": thread_id})
    if not first or first[0].status != RunStatus.QUEUED:
        return None
    thread, row = session.get_one(ThreadRow, thread_id), session.get_one(RunRow, first[0].id)
    if row.is_secret and row.lease_owner != process_id:
        return None  # only its process knows the text
    _give(session, row, process_id)
    touch(session, thread)
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == row.user_message_id)
        .values(status=MessageStatus.PROCESSING, updated_at=now())
    )
    session.flush()
    return to_run(row)


def _give(session: Session, run: RunRow, process_id: UUID) -> None:
    run.status = RunStatus.RUNNING
    run.lease_owner = process_id
    run.started_at = now()
    run.lease_expires_at = shared_now(session) + LEASE


def expect_secret(session: Session, run_id: UUID, epoch: int) -> None:
    """Note that this run asks for a secret: from now on the next message of its thread is one."""
    thread_id = session.scalar(select(RunRow.thread_id).where(RunRow.id == run_id, RunRow.epoch == epoch))
    session.execute(update(ThreadRow).where(ThreadRow.id == thread_id).values(awaits_secret=True))


def saved_text(session: Session, run_id: UUID) -> str:
    """The text of an unfinished run up to its last checkpoint."""
    parts = session.scalars(
        select(RunPartRow.text).where(RunPartRow.run_id == run_id).order_by(RunPartRow.seq)
    )
    return "".join(parts)


def orphans(session: Session, process_id: UUID, *, lease_counts: bool) -> Sequence[RunRow]:
    """Runs that cannot go on because their process is gone: its lease, if that counts, is over.

    These are the started ones, and queued ones whose secret text only that process knew.
    """
    wanted = select(RunRow).where(
        RunRow.finished_at.is_(None),
        RunRow.lease_owner != process_id,
        or_(RunRow.status.in_(STARTED), RunRow.is_secret),
    )
    if lease_counts:
        wanted = wanted.where(
            or_(RunRow.lease_expires_at < shared_now(session), RunRow.lease_expires_at.is_(None))
        )
    # Where several processes look, each run is one's alone.
    return session.scalars(wanted.with_for_update(skip_locked=True)).all()


def started_by(session: Session, process_id: UUID) -> list[tuple[UUID, UUID]]:
    """The runs that this process writes, as far as the database knows, each with its thread."""
    mine = select(RunRow.id, RunRow.thread_id).where(
        RunRow.lease_owner == process_id, RunRow.finished_at.is_(None), RunRow.status.in_(STARTED)
    )
    return [(run_id, thread_id) for run_id, thread_id in session.execute(mine)]


def begin_anew(session: Session, run_id: UUID, process_id: UUID) -> Run | None:
    """A new epoch of a run that this process has and does not write; None if it is not its own any more."""
    row = session.get(RunRow, run_id, with_for_update=True)
    if row is None or row.lease_owner != process_id or row.finished_at is not None:
        return None
    row.epoch += 1
    _give(session, row, process_id)
    session.flush()
    session.execute(delete(RunPartRow).where(RunPartRow.run_id == run_id))
    return to_run(row)


def renew_secrets(session: Session, process_id: UUID) -> None:
    """Renew the leases of the queued secrets whose texts only this process knows."""
    session.execute(
        update(RunRow)
        .where(
            RunRow.lease_owner == process_id,
            RunRow.is_secret.is_(True),
            RunRow.finished_at.is_(None),
            RunRow.started_at.is_(None),
        )
        .values(lease_expires_at=shared_now(session) + LEASE)
    )


def forsaken_threads(session: Session) -> list[UUID]:
    """Threads with queued runs and no started one, for longer than a process takes to go on with them."""
    started = aliased(RunRow)
    is_busy = exists().where(
        started.thread_id == RunRow.thread_id, started.finished_at.is_(None), started.status.in_(STARTED)
    )
    return list(
        session.scalars(
            select(RunRow.thread_id)
            .where(
                RunRow.finished_at.is_(None),
                RunRow.status == RunStatus.QUEUED,
                RunRow.is_secret.is_(False),
                RunRow.created_at < now() - FORSAKEN,
                ~is_busy,
            )
            .distinct()
        )
    )


def stored_answer(session: Session, run_id: UUID) -> tuple[Run, str]:
    """The run as it is, and the text of its answer if there is one."""
    row = session.get_one(RunRow, run_id)
    text = None
    if row.assistant_message_id is not None:
        text = session.scalar(select(MessageRow.text).where(MessageRow.id == row.assistant_message_id))
    return to_run(row), text or ""


def waiting_runs(session: Session) -> list[Run]:
    """The queued runs, longest wait first."""
    rows = session.scalars(
        select(RunRow)
        .where(RunRow.finished_at.is_(None), RunRow.status == RunStatus.QUEUED)
        .order_by(RunRow.created_at, RunRow.id)
    )
    return [to_run(row) for row in rows]


def newest_question_id(session: Session, thread_id: UUID) -> UUID | None:
    """The last message of a thread that its user wrote."""
    return session.scalar(
        select(MessageRow.id)
        .where(MessageRow.thread_id == thread_id, MessageRow.sender_type == SenderType.USER)
        .order_by(MessageRow.position.desc())
        .limit(1)
    )
