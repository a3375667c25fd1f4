"""The rows of runs: queued, claimed, saved in between, finished. Callers commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.db.changes import touch
from core.db.inserting import insert_now
from core.db.mapping import to_run
from core.db.messages import append_message
from core.db.models import AttachmentRow, MessageRow, ProviderThreadRow, RunPartRow, RunRow, ThreadRow, now
from core.db.records import MessageStatus, Run, RunStatus, SenderType
from core.errors import QueueFull
from core.runs.events import RunEnd
from core.runs.history import PROVIDER

LEASE = timedelta(seconds=15)
LONGEST_ERROR_CODE = 128
LONGEST_CORRELATION_ID = 255
LONGEST_CONVERSATION_ID = 255

_STARTED = (RunStatus.RUNNING, RunStatus.STREAMING)

_MINE: Final = (
    RunRow.id == bindparam("of_run"),
    RunRow.epoch == bindparam("of_epoch"),
    RunRow.finished_at.is_(None),
)
_RENEW: Final = (
    update(RunRow).where(*_MINE).values(lease_expires_at=bindparam("lease"), last_seq=bindparam("seq"))
)
_STREAM: Final = (
    update(RunRow).where(*_MINE).values(status=RunStatus.STREAMING, first_token_at=bindparam("first_token"))
)
_FORGET_PARTS: Final = delete(RunPartRow).where(RunPartRow.run_id == bindparam("of_run"))
_WAITING: Final = (
    select(func.count())
    .select_from(RunRow)
    .where(RunRow.thread_id == bindparam("of_thread"), RunRow.finished_at.is_(None))
)
_EPOCHS: Final = select(RunRow.id, RunRow.epoch).where(
    RunRow.id.in_(bindparam("runs", expanding=True)), RunRow.finished_at.is_(None)
)


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


@dataclass(frozen=True, slots=True)
class Progress:
    """What a checkpoint saves of one run."""

    run_id: UUID
    epoch: int
    pieces: int
    text: str
    last_seq: int
    first_token_at: datetime | None


def check_queue(session: Session, thread_id: UUID, limit: int) -> bool:
    """Whether nothing is before a new run of this thread, whose row must be locked. Raises `QueueFull`."""
    waiting = session.connection().execute(_WAITING, {"of_thread": thread_id}).scalar() or 0
    if waiting >= limit:
        raise QueueFull(limit)
    return not waiting


def enqueue(session: Session, run: RunRow, claim_for: UUID | None) -> None:
    """Insert a run behind the unfinished ones of its thread, claimed for a process if one is named."""
    if claim_for is not None:
        _give(run, claim_for)
    insert_now(session, run)


def turn(run: type[RunRow] = RunRow) -> tuple[ColumnElement[Any], ...]:
    """What to order the unfinished runs of a thread by: one that was begun is always the first.

    Several runs may answer one question; ids alone would not do, where clocks differ.
    """
    return run.position.asc(), run.started_at.is_(None).asc(), run.id.asc()


def get(session: Session, run_id: UUID) -> Run:
    """The run, whoever writes it."""
    return to_run(session.get_one(RunRow, run_id))


def claim_next(session: Session, thread_id: UUID, process_id: UUID) -> Run | None:
    """Claim the thread's first unfinished run if it waits; None if it is at work or there is none."""
    # Who holds the thread's row decides: elsewhere than on SQLite, two could find the same run waiting.
    thread = session.get_one(ThreadRow, thread_id, with_for_update=True)
    row = session.scalars(
        select(RunRow)
        .where(RunRow.thread_id == thread_id, RunRow.finished_at.is_(None))
        .order_by(*turn())
        .limit(1)
    ).one_or_none()
    if row is None or row.status != RunStatus.QUEUED:
        return None
    if row.is_secret and row.lease_owner != process_id:
        return None  # only its process knows the text
    _give(row, process_id)
    touch(session, thread)
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == row.user_message_id)
        .values(status=MessageStatus.PROCESSING, updated_at=now())
    )
    session.flush()
    return to_run(row)


def _give(run: RunRow, process_id: UUID) -> None:
    run.status = RunStatus.RUNNING
    run.lease_owner = process_id
    run.started_at = now()
    run.lease_expires_at = run.started_at + LEASE


def checkpoint(session: Session, progress: Sequence[Progress]) -> set[UUID]:
    """Save new text and renew the leases; the runs that are no longer this writer's.

    In four statements, however many runs there are: all answers of a process are saved at once.
    """
    connection, lease = session.connection(), now() + LEASE
    renewals = [
        {"of_run": item.run_id, "of_epoch": item.epoch, "lease": lease, "seq": item.last_seq}
        for item in progress
    ]
    connection.execute(_RENEW, renewals)
    streaming = [
        {"of_run": item.run_id, "of_epoch": item.epoch, "first_token": item.first_token_at}
        for item in progress
        if item.first_token_at is not None
    ]
    if streaming:
        connection.execute(_STREAM, streaming)
    # After the updates: what they have locked stays this writer's.
    found = connection.execute(_EPOCHS, {"runs": [item.run_id for item in progress]})
    epochs = {row.id: row.epoch for row in found}
    parts = [
        {"run_id": item.run_id, "seq": item.pieces, "text": item.text}
        for item in progress
        if item.text and epochs.get(item.run_id) == item.epoch
    ]
    if parts:
        connection.execute(insert(RunPartRow), parts)
    return {item.run_id for item in progress if epochs.get(item.run_id) != item.epoch}


def expect_secret(session: Session, run_id: UUID, epoch: int) -> None:
    """Note that this run asks for a secret: from now on the next message of its thread is one."""
    thread_id = session.scalar(select(RunRow.thread_id).where(RunRow.id == run_id, RunRow.epoch == epoch))
    session.execute(update(ThreadRow).where(ThreadRow.id == thread_id).values(awaits_secret=True))


def finish(
    session: Session, run_id: UUID, epoch: int, outcome: Outcome, *, only_queued: bool = False
) -> RunEnd | None:
    """Save how a run ended: answer, tokens, provider state.

    None if it is not this writer's to end: finished, taken over, or started although `only_queued`.
    """
    thread_id = session.scalar(select(RunRow.thread_id).where(RunRow.id == run_id))
    thread = session.get_one(ThreadRow, thread_id, with_for_update=True)
    run = session.scalars(
        select(RunRow).where(RunRow.id == run_id, RunRow.epoch == epoch, RunRow.finished_at.is_(None))
    ).one_or_none()
    if run is None or (only_queued and run.status != RunStatus.QUEUED):
        return None
    question = session.get_one(MessageRow, run.user_message_id)
    _close_question(question, outcome)
    answer = _add_answer(session, thread, run, outcome)
    run.assistant_message_id = answer.id if answer is not None else None
    run.status = outcome.status
    run.error_code, run.error = outcome.error_code, outcome.error
    run.prompt_tokens, run.completion_tokens = outcome.prompt_tokens, outcome.completion_tokens
    run.last_seq = outcome.last_seq
    run.first_token_at = outcome.first_token_at
    run.finished_at = now()
    run.lease_expires_at = None
    if run.is_secret and outcome.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        # A secret that did not get through will be typed again, and must be a secret then, too.
        thread.awaits_secret = True
    elif thread.awaits_secret and outcome.status is RunStatus.COMPLETED:
        # The agent went on without it; or an earlier answer asked, in whose place this one stands now.
        is_newest = question.id == newest_question_id(session, thread.id)
        thread.awaits_secret = not (outcome.asked_for_secret or is_newest)
    touch(session, thread)
    session.connection().execute(_FORGET_PARTS, {"of_run": run_id})
    if outcome.conversation_id and len(outcome.conversation_id) <= LONGEST_CONVERSATION_ID:
        _remember_conversation(session, run, outcome.conversation_id)
    return RunEnd(
        outcome.status,
        outcome.error_code,
        outcome.error,
        run.assistant_message_id,
        outcome.provider_said_so,
    )


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
        or_(RunRow.status.in_(_STARTED), RunRow.is_secret),
    )
    if lease_counts:
        # A queued secret has no lease: with its process, its text is gone.
        wanted = wanted.where(or_(RunRow.lease_expires_at < now(), RunRow.lease_expires_at.is_(None)))
    return session.scalars(wanted).all()


def waiting_runs(session: Session) -> list[Run]:
    """The queued runs, longest wait first."""
    rows = session.scalars(
        select(RunRow)
        .where(RunRow.finished_at.is_(None), RunRow.status == RunStatus.QUEUED)
        .order_by(RunRow.created_at, RunRow.id)
    )
    return [to_run(row) for row in rows]


def _close_question(question: MessageRow, outcome: Outcome) -> None:
    question.updated_at = now()
    if outcome.status is RunStatus.FAILED:
        question.status = MessageStatus.ERROR
        question.error_code = (outcome.error or "")[:LONGEST_ERROR_CODE]
        return
    question.status = MessageStatus.READY
    question.error_code = None
    question.tokens_count = outcome.prompt_tokens
    question.correlation_id = (outcome.response_id or "")[:LONGEST_CORRELATION_ID] or question.correlation_id


def newest_question_id(session: Session, thread_id: UUID) -> UUID | None:
    """The last message of a thread that its user wrote."""
    return session.scalar(
        select(MessageRow.id)
        .where(MessageRow.thread_id == thread_id, MessageRow.sender_type == SenderType.USER)
        .order_by(MessageRow.position.desc())
        .limit(1)
    )


def _add_answer(session: Session, thread: ThreadRow, run: RunRow, outcome: Outcome) -> MessageRow | None:
    files = session.scalars(select(AttachmentRow).where(AttachmentRow.run_id == run.id)).all()
    ended_well = outcome.status in (RunStatus.COMPLETED, RunStatus.INTERRUPTED)
    if not (ended_well or outcome.text or files):
        return None
    failed = outcome.status is RunStatus.FAILED
    answer = MessageRow(
        parent_id=run.user_message_id,
        sender_id=SenderType.ASSISTANT,
        sender_type=SenderType.ASSISTANT,
        status=MessageStatus.ERROR if failed else MessageStatus.READY,
        text=outcome.text,
        attributes=outcome.metadata,
        tokens_count=outcome.completion_tokens,
        error_code=(outcome.error or "")[:LONGEST_ERROR_CODE] if failed else None,
        correlation_id=(outcome.response_id or "")[:LONGEST_CORRELATION_ID] or None,
    )
    append_message(session, thread, answer)
    for file in files:
        file.message_id = answer.id
    return answer


def _remember_conversation(session: Session, run: RunRow, conversation_id: str) -> None:
    row = session.scalars(
        select(ProviderThreadRow).where(
            ProviderThreadRow.thread_id == run.thread_id, ProviderThreadRow.provider == PROVIDER
        )
    ).one_or_none()
    if row is None:
        row = ProviderThreadRow(thread_id=run.thread_id, provider=PROVIDER)
        session.add(row)
    row.conversation_id = conversation_id
    row.payload = {"model": run.model, "model_label": run.model_label}
    row.updated_at = now()
