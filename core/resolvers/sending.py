"""Sending a message: the question and its run are durable before anything else happens."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.auth.permissions import check_model
from core.context import Context
from core.db.changes import touch
from core.db.clock import shared_now
from core.db.indexing import text_changed
from core.db.inserting import insert_now
from core.db.mapping import to_attachment, to_message, to_run
from core.db.messages import append_message, with_attachments
from core.db.models import AttachmentRow, MessageRow, RunRow, ThreadRow
from core.db.records import Attachment, Message, MessageStatus, Run, RunStatus, SenderType
from core.db.threads import relist
from core.errors import IdempotencyMismatch, InvalidInput, ModelRequired
from core.ids import new_id
from core.plain import storable
from core.resolvers.access import check_json, check_length, check_name, own_thread
from core.resolvers.uploads import KeptFile, NewAttachment, keep_files
from core.runs import store
from core.runs.history import PROVIDER

EMPTY_TEXT = "Process as expected."
BULLETS = "\N{BULLET}" * 8
LONGEST_MODEL = 255
LONGEST_KEY = 255
LONGEST_CORRELATION_ID = 255
LONGEST_FILENAME = 255
LONGEST_TITLE = 255
TITLE_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be sent."""

    text: str
    attachments: tuple[NewAttachment, ...] = ()
    model: str | None = None
    model_label: str | None = None
    metadata: dict[str, Any] | None = None
    correlation_id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """What a send stored. Without a run (the provider is switched off) nobody is answering."""

    message: Message
    run: Run | None
    is_replay: bool = False


async def send_message(ctx: Context, thread_id: UUID, new: NewMessage) -> SentMessage:
    """Store the caller's message and start its answer.

    With an idempotency key that this thread has seen, nothing is stored and the first message and its
    run are returned. Raises `ThreadNotFound`, `NotAllowed`, `ModelRequired`, `InvalidInput`,
    `InvalidAttachment`, `QueueFull`, `IdempotencyMismatch`, `Unavailable`.
    """
    return await ctx.runs.undisturbed(_send(ctx, thread_id, new))


async def _send(ctx: Context, thread_id: UUID, new: NewMessage) -> SentMessage:
    user_id = ctx.user.id
    text = _text(new)
    _check(new)
    if new.attachments:
        # Before any bytes are written: a foreign thread must cost a stranger's request nothing.
        await ctx.db.read(lambda session: own_thread(session, ctx.user, thread_id).id)
    kept: list[KeptFile] = []
    sent: SentMessage | None = None
    try:
        with reserved_place(ctx, text) as place:
            kept = await keep_files(ctx, new.attachments)
            digest = _digest(ctx, thread_id, new, kept)

            def work(session: Session) -> SentMessage:
                return _Sending(ctx, session, new, text, kept, digest).send(thread_id, user_id, place)

            sent = await ctx.db.write(work)
            place.run = None if sent.is_replay else sent.run
        return sent
    finally:
        if sent is None or sent.is_replay:
            for file in kept:
                await ctx.files.delete(file.stored_name)


@dataclass(slots=True)
class RunPlace:
    """A place in the engine for a run that is to be stored; `run` is that run once it is."""

    run_id: UUID
    claim: UUID | None
    run: Run | None = None


@contextmanager
def reserved_place(ctx: Context, text: str) -> Iterator[RunPlace]:
    """A place for a run; at the end of the block the engine starts what was stored, or gets it back.

    `text` is what the provider gets if it turns out to be a secret. Raises `Draining`.
    """
    run_id = new_id()
    if not ctx.settings.llm_enabled:
        yield RunPlace(run_id, None)
        return
    place = RunPlace(run_id, ctx.runs.reserve(run_id, text))
    try:
        yield place
    finally:
        if place.run is not None:
            ctx.runs.accept(place.run, place.claim)
        else:
            ctx.runs.abandon(run_id, place.claim)


@dataclass(frozen=True, slots=True)
class _Sending:
    """One transaction of one send."""

    ctx: Context
    session: Session
    new: NewMessage
    text: str
    kept: list[KeptFile]
    digest: str

    def send(self, thread_id: UUID, user_id: UUID, place: RunPlace) -> SentMessage:
        thread = own_thread(self.session, self.ctx.user, thread_id, lock=True)
        replay = self._replay(thread)
        if replay is not None:
            return replay
        model, label = choose_model(self.ctx, thread, self.new.model, self.new.model_label)
        claim = claim_of(self.ctx, self.session, thread_id, place)
        is_secret, thread.awaits_secret = thread.awaits_secret, False
        text = BULLETS if is_secret else storable(self.text)
        message = self._add_message(thread, str(user_id), text, is_claimed=claim is not None)
        self._name(thread, label or model, message.text)
        run = None
        if self.ctx.settings.llm_enabled:
            run = add_run(
                self.ctx,
                self.session,
                message,
                place.run_id,
                claim,
                model=model,
                label=label,
                is_secret=is_secret,
            )
        touch(self.session, thread)
        attachments = self._add_attachments(message)
        return SentMessage(to_message(message, attachments), to_run(run) if run else None)

    def _replay(self, thread: ThreadRow) -> SentMessage | None:
        if not self.new.idempotency_key:
            return None
        message = self.session.scalars(
            select(MessageRow).where(
                MessageRow.thread_id == thread.id,
                MessageRow.idempotency_key == self.new.idempotency_key,
            )
        ).one_or_none()
        if message is None:
            return None
        if not hmac.compare_digest(message.request_digest or "", self.digest):
            raise IdempotencyMismatch
        run = self.session.scalars(
            select(RunRow)
            .where(RunRow.user_message_id == message.id)
            .order_by(RunRow.created_at, RunRow.id)
            .limit(1)
        ).one_or_none()
        stored = with_attachments(self.session, [message])[0]
        return SentMessage(stored, to_run(run) if run else None, is_replay=True)

    def _add_message(self, thread: ThreadRow, sender_id: str, text: str, *, is_claimed: bool) -> MessageRow:
        message = MessageRow(
            sender_id=sender_id,
            sender_type=SenderType.USER,
            status=MessageStatus.PROCESSING if is_claimed else MessageStatus.QUEUED,
            text=text,
            attributes=self.new.metadata or {},
            correlation_id=self.new.correlation_id,
            idempotency_key=self.new.idempotency_key or None,
            request_digest=self.digest if self.new.idempotency_key else None,
        )
        return append_message(self.session, thread, message)

    def _add_attachments(self, message: MessageRow) -> list[Attachment]:
        added = []
        for file in self.kept:
            row = AttachmentRow(
                thread_id=message.thread_id,
                message_id=message.id,
                stored_name=file.stored_name,
                filename=file.filename,
                content_type=file.content_type,
                size_bytes=file.size_bytes,
            )
            insert_now(self.session, row)
            added.append(to_attachment(row))
        return added

    def _name(self, thread: ThreadRow, model: str, text: str) -> None:
        if thread.title:
            return
        words = text[:TITLE_CHARACTERS].rstrip()
        title = f"{model}: {words}" if model else words
        thread.title = title.replace("[", "").replace("]", "")[:LONGEST_TITLE]
        text_changed(self.session, thread)
        relist(self.session, thread)


def choose_model(
    ctx: Context, thread: ThreadRow, model: str | None, label: str | None
) -> tuple[str, str | None]:
    """The model to ask and its label; what the request says is remembered in the thread.

    Raises `ModelRequired` if neither says any, `InvalidInput` and `NotAllowed`.
    """
    remembered = thread.attributes.get("model")
    model = model or (remembered if isinstance(remembered, str) else None)
    if not model:
        if ctx.settings.llm_enabled:
            raise ModelRequired
        return "", label
    check_name("model", model, LONGEST_MODEL)
    check_model(ctx.user, model, agents_are_models=ctx.settings.agents_are_models)
    if label is None and model == remembered:
        known = thread.attributes.get("model_label")
        label = known if isinstance(known, str) else None
    thread.attributes = {**thread.attributes, "model": model, "model_label": label, "provider": PROVIDER}
    return model, label


def claim_of(ctx: Context, session: Session, thread_id: UUID, place: RunPlace) -> UUID | None:
    """Who may claim a new run of this thread, which is locked; None if it has to wait. Raises `QueueFull`."""
    if not ctx.settings.llm_enabled:
        return None
    is_first = store.check_queue(session, thread_id, ctx.settings.thread_queue_limit)
    return place.claim if is_first else None


def add_run(
    ctx: Context,
    session: Session,
    question: MessageRow,
    run_id: UUID,
    claim: UUID | None,
    *,
    model: str,
    label: str | None,
    is_secret: bool = False,
) -> RunRow:
    """Insert the run that answers `question`, whose thread is locked, with the claim of `claim_of`."""
    run = RunRow(
        id=run_id,
        thread_id=question.thread_id,
        owner_id=ctx.user.id,
        user_message_id=question.id,
        position=question.position,
        status=RunStatus.QUEUED,
        model=model,
        model_label=label,
        is_secret=is_secret,
        # Only this process knows the secret, so only it can ask the question.
        lease_owner=ctx.runs.process_id if is_secret else None,
        lease_expires_at=shared_now(session) + store.LEASE if is_secret else None,
    )
    store.enqueue(session, run, claim)
    return run


def _text(new: NewMessage) -> str:
    if not new.text and not new.attachments:
        raise InvalidInput("text", "text must not be empty")
    return new.text if new.text.strip() else EMPTY_TEXT


def _check(new: NewMessage) -> None:
    check_json("metadata", new.metadata)
    check_name("model", new.model, LONGEST_MODEL)
    check_name("model_label", new.model_label, LONGEST_MODEL)
    check_name("correlation_id", new.correlation_id, LONGEST_CORRELATION_ID)
    check_name("idempotency_key", new.idempotency_key, LONGEST_KEY)
    for attachment in new.attachments:
        if not attachment.filename:
            raise InvalidInput("attachments", "attachments need a filename")
        check_length("attachments.filename", attachment.filename, LONGEST_FILENAME)
        check_name("attachments.content_type", attachment.content_type, LONGEST_FILENAME)


def _digest(ctx: Context, thread_id: UUID, new: NewMessage, kept: list[KeptFile]) -> str:
    """What tells one request from another. Keyed, because the text may be a secret."""
    said = [
        str(thread_id),
        new.text,
        new.model,
        new.model_label,
        new.metadata,
        new.correlation_id,
        [(file.filename, file.content_type, file.digest) for file in kept],
    ]
    encoded = json.dumps(said, sort_keys=True).encode()
    return hmac.new(ctx.settings.jwt_secret_key.encode(), encoded, hashlib.sha256).hexdigest()
