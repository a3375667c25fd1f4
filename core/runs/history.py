"""What a run's question looks like to the provider: the thread up to it, files included."""

from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from core.db.messages import attachments_of_thread
from core.db.models import MessageRow, ProviderThreadRow
from core.db.reading import rows
from core.db.records import Attachment, MessageStatus, Run, SenderType
from core.db.session import Database
from core.files.store import FileMissing, FileStore
from core.logs import get_logger
from core.provider.prompt import ChatRequest, PromptFile, PromptMessage

_logger = get_logger(__name__)

PROVIDER = "openai-compatible"

_LINES: Final = (
    select(
        MessageRow.id,
        MessageRow.position,
        MessageRow.parent_id,
        MessageRow.sender_type,
        MessageRow.status,
        MessageRow.text,
        MessageRow.attributes,
    )
    .where(MessageRow.thread_id == bindparam("thread_id"))
    .order_by(MessageRow.position)
)
_CONVERSATION_ID: Final = select(ProviderThreadRow.conversation_id).where(
    ProviderThreadRow.thread_id == bindparam("thread_id"), ProviderThreadRow.provider == PROVIDER
)


@dataclass(frozen=True, slots=True)
class _Line:
    id: UUID
    position: int
    parent_id: UUID | None
    sender_type: str
    status: str
    text: str
    metadata: dict[str, Any]


async def load_request(db: Database, files: FileStore, run: Run, secret_text: str | None) -> ChatRequest:
    """The request of `run`. A secret is put in place of its bullets, here and nowhere else."""
    thread = await db.read(lambda session: _load(session, run))
    messages = []
    for line in thread.lines:
        # Providers take files from users only.
        sent = thread.attachments.get(line.id, []) if line.sender_type == SenderType.USER else []
        message = _message(line, await _load_files(files, sent))
        if secret_text is not None and line.id == run.user_message_id:
            message = replace(message, text=secret_text)
        if message.text or message.files:
            messages.append(message)
    return ChatRequest(run.model, tuple(messages), str(run.owner_id), thread.conversation_id)


@dataclass(frozen=True, slots=True)
class _Thread:
    lines: list[_Line]
    attachments: dict[UUID, list[Attachment]]
    conversation_id: str | None


def _load(session: Session, run: Run) -> _Thread:
    thread = {"thread_id": run.thread_id}
    remembered = rows(session, _CONVERSATION_ID, thread)
    return _Thread(
        _conversation([_Line(*row) for row in rows(session, _LINES, thread)], run.user_message_id),
        attachments_of_thread(session, run.thread_id),
        remembered[0][0] if remembered else None,
    )


def _conversation(lines: list[_Line], question_id: UUID) -> list[_Line]:
    """The lines up to the question, each followed by its answer.

    Questions that were sent later and wait behind this one are left out. Of several answers to one question
    the last that is ready counts, else the last.
    """
    positions = {line.id: line.position for line in lines}
    question = positions[question_id]

    def place(line: _Line) -> tuple[int, int]:
        anchor = positions.get(line.parent_id, line.position) if line.parent_id else line.position
        return anchor, line.position

    superseded = _superseded(lines)
    earlier = [
        line
        for line in lines
        if line.id not in superseded and (place(line)[0] < question or line.id == question_id)
    ]
    return sorted(earlier, key=place)


def _superseded(lines: list[_Line]) -> set[UUID]:
    """The answers whose question has another one that counts."""
    by_question: dict[UUID, list[_Line]] = {}
    for line in lines:
        if line.parent_id is not None and line.sender_type == SenderType.ASSISTANT:
            by_question.setdefault(line.parent_id, []).append(line)
    superseded: set[UUID] = set()
    for answers in by_question.values():
        ready = [line for line in answers if line.status == MessageStatus.READY]
        counts = (ready or answers)[-1]
        superseded.update(line.id for line in answers if line is not counts)
    return superseded


def _message(line: _Line, files: tuple[PromptFile, ...]) -> PromptMessage:
    metadata = line.metadata if line.sender_type == SenderType.USER else {}
    return PromptMessage(line.sender_type, line.text, metadata, files)


async def _load_files(files: FileStore, attachments: list[Attachment]) -> tuple[PromptFile, ...]:
    loaded = []
    for attachment in attachments:
        try:
            content = await files.load(attachment.stored_name or "")
        except FileMissing:
            _logger.warning("attachment left out: its bytes are missing", attachment_id=str(attachment.id))
        else:
            loaded.append(PromptFile(attachment.filename, attachment.content_type, content))
    return tuple(loaded)
