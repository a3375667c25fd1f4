"""Saving how a run ended: answer, tokens, what the provider remembers. Callers commit.

By Core: every answer comes through here, and the session of the ORM would take three times as long.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from core.db.changes import touch
from core.db.inserting import insert_now
from core.db.messages import append_message
from core.db.models import AttachmentRow, MessageRow, ProviderThreadRow, RunPartRow, RunRow, ThreadRow, now
from core.db.reading import rows
from core.db.records import MessageStatus, RunStatus, SenderType
from core.runs.events import RunEnd
from core.runs.history import PROVIDER
from core.runs.store import Outcome, newest_question_id

LONGEST_ERROR_CODE = 128
LONGEST_CORRELATION_ID = 255
LONGEST_CONVERSATION_ID = 255

_OF_RUN: Final = RunRow.id == bindparam("of_run")
_THREAD: Final = (
    select(ThreadRow)
    .where(ThreadRow.id == select(RunRow.thread_id).where(_OF_RUN).scalar_subquery())
    .with_for_update()
)
_MINE: Final = select(
    RunRow.status, RunRow.user_message_id, RunRow.is_secret, RunRow.model, RunRow.model_label
).where(_OF_RUN, RunRow.epoch == bindparam("of_epoch"), RunRow.finished_at.is_(None))
_END: Final = (
    update(RunRow)
    .where(_OF_RUN)
    .values(
        status=bindparam("ended"),
        assistant_message_id=bindparam("answer"),
        error_code=bindparam("code"),
        error=bindparam("sentence"),
        prompt_tokens=bindparam("prompt"),
        completion_tokens=bindparam("completion"),
        last_seq=bindparam("seq"),
        first_token_at=bindparam("first_token"),
        finished_at=bindparam("at"),
        lease_expires_at=None,
    )
)
_QUESTION: Final = update(MessageRow).where(MessageRow.id == bindparam("question"))
_FAILED: Final = _QUESTION.values(
    status=MessageStatus.ERROR, error_code=bindparam("code"), updated_at=bindparam("at")
)
_ANSWERED: Final = _QUESTION.values(
    status=MessageStatus.READY,
    error_code=None,
    tokens_count=bindparam("tokens"),
    correlation_id=func.coalesce(bindparam("response"), MessageRow.correlation_id),
    updated_at=bindparam("at"),
)
_HAS_FILES: Final = select(AttachmentRow.id).where(AttachmentRow.run_id == bindparam("of_run")).limit(1)
_GIVE_FILES: Final = (
    update(AttachmentRow)
    .where(AttachmentRow.run_id == bindparam("of_run"))
    .values(message_id=bindparam("answer"))
)
_FORGET_PARTS: Final = delete(RunPartRow).where(RunPartRow.run_id == bindparam("of_run"))
_REMEMBER: Final = (
    update(ProviderThreadRow)
    .where(ProviderThreadRow.thread_id == bindparam("thread"), ProviderThreadRow.provider == PROVIDER)
    .values(conversation_id=bindparam("conversation"), payload=bindparam("said"), updated_at=bindparam("at"))
)


def finish(
    session: Session, run_id: UUID, epoch: int, outcome: Outcome, *, only_queued: bool = False
) -> RunEnd | None:
    """Save how a run ended: answer, tokens, provider state.

    None if it is not this writer's to end: finished, taken over, or started although `only_queued`.
    """
    thread = session.scalars(_THREAD, {"of_run": run_id}).one()
    mine = rows(session, _MINE, {"of_run": run_id, "of_epoch": epoch})
    if not mine or (only_queued and mine[0].status != RunStatus.QUEUED):
        return None
    run = mine[0]
    _close_question(session, run.user_message_id, outcome)
    answer_id = _add_answer(session, thread, run_id, run.user_message_id, outcome)
    _close(session, run_id, answer_id, outcome)
    if run.is_secret and outcome.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        # A secret that did not get through will be typed again, and must be a secret then, too.
        thread.awaits_secret = True
    elif thread.awaits_secret and outcome.status is RunStatus.COMPLETED:
        # The agent went on without it; or an earlier answer asked, in whose place this one stands now.
        is_newest = run.user_message_id == newest_question_id(session, thread.id)
        thread.awaits_secret = not (outcome.asked_for_secret or is_newest)
    touch(session, thread)
    if outcome.conversation_id and len(outcome.conversation_id) <= LONGEST_CONVERSATION_ID:
        said = {"model": run.model, "model_label": run.model_label}
        _remember_conversation(session, thread.id, outcome.conversation_id, said)
    return RunEnd(outcome.status, outcome.error_code, outcome.error, answer_id, outcome.provider_said_so)


def _close_question(session: Session, question_id: UUID, outcome: Outcome) -> None:
    if outcome.status is RunStatus.FAILED:
        code = (outcome.error or "")[:LONGEST_ERROR_CODE]
        session.connection().execute(_FAILED, {"question": question_id, "code": code, "at": now()})
        return
    session.connection().execute(
        _ANSWERED,
        {
            "question": question_id,
            "tokens": outcome.prompt_tokens,
            "response": _correlation_id(outcome),
            "at": now(),
        },
    )


def _add_answer(
    session: Session, thread: ThreadRow, run_id: UUID, question_id: UUID, outcome: Outcome
) -> UUID | None:
    has_files = bool(rows(session, _HAS_FILES, {"of_run": run_id}))
    ended_well = outcome.status in (RunStatus.COMPLETED, RunStatus.INTERRUPTED)
    if not (ended_well or outcome.text or has_files):
        return None
    failed = outcome.status is RunStatus.FAILED
    answer = MessageRow(
        parent_id=question_id,
        sender_id=SenderType.ASSISTANT,
        sender_type=SenderType.ASSISTANT,
        status=MessageStatus.ERROR if failed else MessageStatus.READY,
        text=outcome.text,
        attributes=outcome.metadata,
        tokens_count=outcome.completion_tokens,
        error_code=(outcome.error or "")[:LONGEST_ERROR_CODE] if failed else None,
        correlation_id=_correlation_id(outcome),
    )
    append_message(session, thread, answer)
    if has_files:
        session.connection().execute(_GIVE_FILES, {"of_run": run_id, "answer": answer.id})
    return answer.id


def _correlation_id(outcome: Outcome) -> str | None:
    return (outcome.response_id or "")[:LONGEST_CORRELATION_ID] or None


def _close(session: Session, run_id: UUID, answer_id: UUID | None, outcome: Outcome) -> None:
    session.connection().execute(
        _END,
        {
            "of_run": run_id,
            "ended": outcome.status,
            "answer": answer_id,
            "code": outcome.error_code,
            "sentence": outcome.error,
            "prompt": outcome.prompt_tokens,
            "completion": outcome.completion_tokens,
            "seq": outcome.last_seq,
            "first_token": outcome.first_token_at,
            "at": now(),
        },
    )
    session.connection().execute(_FORGET_PARTS, {"of_run": run_id})


def _remember_conversation(
    session: Session, thread_id: UUID, conversation_id: str, said: dict[str, str | None]
) -> None:
    values = {"thread": thread_id, "conversation": conversation_id, "said": said, "at": now()}
    if not session.connection().execute(_REMEMBER, values).rowcount:
        row = ProviderThreadRow(
            thread_id=thread_id, provider=PROVIDER, conversation_id=conversation_id, payload=said
        )
        insert_now(session, row)
