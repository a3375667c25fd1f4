"""Threads with everything in them, written as the engine would have left them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.context import Context
from core.db.messages import append_message
from core.db.models import AttachmentRow, MessageRow, ProviderThreadRow, RunRow, ThreadRow, now
from core.db.records import RunStatus
from core.resolvers.threads import create_thread
from core.runs.history import PROVIDER


@dataclass(frozen=True, slots=True)
class Chat:
    """A thread with a question, its answer and their run; and a second question that waits."""

    thread: UUID
    question: UUID
    answer: UUID
    run: UUID
    waiting_question: UUID
    waiting_run: UUID
    attachment: UUID
    provider_thread: UUID


async def add_chat(ctx: Context, metadata: dict[str, Any] | None = None) -> Chat:
    """A chat of the caller's."""
    thread_id = (await create_thread(ctx, title="Chat", metadata=metadata)).id

    def fill(session: Session) -> Chat:
        thread = session.get_one(ThreadRow, thread_id, with_for_update=True)
        question, run = add_question(session, thread, RunStatus.COMPLETED)
        answer = add_answer(session, thread, run)
        waiting_question, waiting_run = add_question(session, thread, RunStatus.QUEUED)
        attachment = AttachmentRow(
            thread_id=thread.id, message_id=question.id, filename="a.txt", content_type="text/plain"
        )
        state = ProviderThreadRow(thread_id=thread.id, provider=PROVIDER, conversation_id="c")
        session.add_all([attachment, state])
        session.flush()
        return Chat(
            thread.id,
            question.id,
            answer.id,
            run.id,
            waiting_question.id,
            waiting_run.id,
            attachment.id,
            state.id,
        )

    return await ctx.db.write(fill)


def add_question(
    session: Session, thread: ThreadRow, status: RunStatus, text: str = "Why?"
) -> tuple[MessageRow, RunRow]:
    """A question and its run."""
    question = MessageRow(sender_id=str(thread.owner_id), sender_type="user", status="ready", text=text)
    append_message(session, thread, question)
    session.flush()
    return question, add_run(session, question, thread.owner_id, status)


def add_run(session: Session, question: MessageRow, owner_id: UUID, status: RunStatus) -> RunRow:
    """Another run of a question."""
    run = RunRow(
        thread_id=question.thread_id,
        owner_id=owner_id,
        user_message_id=question.id,
        position=question.position,
        status=status,
        model="model",
        finished_at=now() if status.is_final else None,
    )
    session.add(run)
    session.flush()
    return run


def add_answer(
    session: Session, thread: ThreadRow, run: RunRow, text: str = "So.", status: str = "ready"
) -> MessageRow:
    """The answer that a run has written."""
    answer = MessageRow(
        parent_id=run.user_message_id,
        sender_id="assistant",
        sender_type="assistant",
        status=status,
        text=text,
    )
    append_message(session, thread, answer)
    session.flush()
    run.assistant_message_id = answer.id
    return answer
