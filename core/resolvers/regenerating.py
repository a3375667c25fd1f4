"""Regenerating: the newest question of a thread is answered again, beside the answers that it has."""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.changes import touch
from core.db.indexing import text_changed
from core.db.mapping import to_run
from core.db.models import MessageRow, RunRow, now
from core.db.records import MessageStatus, Run, SenderType
from core.errors import InvalidInput, MessageNotFound, NotLatest, ProviderOff, ThreadNotFound
from core.plain import storable
from core.resolvers.access import check_name, message_of, own_thread
from core.resolvers.sending import (
    BULLETS,
    LONGEST_MODEL,
    RunPlace,
    add_run,
    choose_model,
    claim_of,
    reserved_place,
)
from core.runs import store


async def regenerate(
    ctx: Context,
    message_id: UUID,
    *,
    text: str | None = None,
    model: str | None = None,
    model_label: str | None = None,
) -> Run:
    """Start a new answer to the newest question of its thread; `message_id` is it, or an answer to it.

    With `text`, that is what the question says from now on. The answers so far stay in the thread; the
    provider is shown one of them only. Raises `MessageNotFound`, `NotAllowed`, `NotLatest`, `ModelRequired`,
    `QueueFull`, `Unavailable`, and `InvalidInput` for an empty text, or a question whose text was a secret
    and is known to nobody any more.
    """
    return await ctx.runs.undisturbed(_regenerate(ctx, message_id, text, model, model_label))


async def _regenerate(
    ctx: Context, message_id: UUID, text: str | None, model: str | None, label: str | None
) -> Run:
    if not ctx.settings.llm_enabled:
        raise ProviderOff
    if text is not None and not text.strip():
        raise InvalidInput("text", "text must not be empty")
    check_name("model", model, LONGEST_MODEL)
    check_name("model_label", label, LONGEST_MODEL)
    with reserved_place(ctx, "") as place:
        run = await ctx.db.write(
            lambda session: _add(ctx, session, message_id, place, text=text, model=model, label=label)
        )
        place.run = run
    return run


def _add(
    ctx: Context,
    session: Session,
    message_id: UUID,
    place: RunPlace,
    *,
    text: str | None,
    model: str | None,
    label: str | None,
) -> Run:
    thread_id = session.scalar(select(MessageRow.thread_id).where(MessageRow.id == message_id))
    if thread_id is None:
        raise MessageNotFound
    try:
        thread = own_thread(session, ctx.user, thread_id, lock=True)
    except ThreadNotFound:
        raise MessageNotFound from None
    question = _question(session, message_of(session, thread_id, message_id))
    if question.id != store.newest_question_id(session, thread_id):
        raise NotLatest
    _check_not_secret(session, question)
    if text is not None and storable(text) != question.text:
        question.text = storable(text)
        text_changed(session, question)
    model, label = choose_model(ctx, thread, model, label)
    claim = claim_of(ctx, session, thread_id, place)
    if claim is not None:
        question.status = MessageStatus.PROCESSING
    elif question.status != MessageStatus.PROCESSING:
        question.status = MessageStatus.QUEUED
    run = add_run(ctx, session, question, place.run_id, claim, model=model, label=label)
    question.error_code = None
    thread.updated_at = question.updated_at = now()
    touch(session, thread)
    session.flush()
    return to_run(run)


def _question(session: Session, message: MessageRow) -> MessageRow:
    """The question that `message` is, or that it answers."""
    if message.sender_type == SenderType.USER:
        return message
    if message.parent_id is None:
        raise InvalidInput("message_id", "This message is neither a question nor an answer to one")
    return session.get_one(MessageRow, message.parent_id)


def _check_not_secret(session: Session, question: MessageRow) -> None:
    was_secret = exists().where(RunRow.user_message_id == question.id, RunRow.is_secret)
    if question.text == BULLETS or session.scalar(select(was_secret)):
        raise InvalidInput("message_id", "This message was a secret, which is not kept; send it again")
