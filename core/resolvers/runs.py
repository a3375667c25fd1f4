"""Runs: looked at, followed, waited for and cancelled by their owners."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from core.context import Context
from core.db.mapping import RUN_COLUMNS, to_run
from core.db.models import RunRow, ThreadRow
from core.db.records import Message, Run, RunStatus, SenderType, User
from core.errors import AnswerStopped, CoreError, ProviderError, RunNotFound, ThreadNotFound, Unavailable
from core.resolvers.access import own_thread, visible
from core.runs import store
from core.runs.events import SERVER_STOPPED, Batch, Cursor, RunEnd
from core.runs.log import ComeBack, Reader
from core.runs.stored_log import StoredReader

_LOOK_SECONDS = 0.5


class RunElsewhere(Unavailable):
    code = "RUN_ELSEWHERE"

    def __init__(self) -> None:
        super().__init__("This answer is not being written by this process; try again in a moment")


async def get_run(ctx: Context, run_id: UUID) -> Run:
    """The caller's run. Raises `RunNotFound`, `NotAllowed`."""
    return await _find_run(ctx, run_id)


async def runs_by_id(ctx: Context, ids: Collection[UUID]) -> dict[UUID, Run]:
    """Those of these runs that the caller may see."""
    user = ctx.user
    return await ctx.db.read(lambda session: load_runs(session, user, ids))


def load_runs(session: Session, user: User, ids: Collection[UUID]) -> dict[UUID, Run]:
    """See `runs_by_id`."""
    rows = session.execute(_visible_runs(session, user).where(RunRow.id.in_(list(ids))))
    return {row.id: to_run(row) for row in rows}


async def active_runs(ctx: Context, thread_ids: Collection[UUID]) -> dict[UUID, Run]:
    """The run that each of these threads is busy with, or that is next; for the caller's threads that are."""
    user = ctx.user
    waiting = aliased(RunRow)
    first = (
        select(waiting.id)
        .where(waiting.thread_id == ThreadRow.id, waiting.finished_at.is_(None))
        .order_by(*store.turn(waiting))
        .limit(1)
        .correlate(ThreadRow)
        .scalar_subquery()
    )

    def work(session: Session) -> dict[UUID, Run]:
        rows = session.execute(
            _visible_runs(session, user).where(ThreadRow.id.in_(list(thread_ids)), RunRow.id == first)
        )
        return {row.thread_id: to_run(row) for row in rows}

    return await ctx.db.read(work)


async def runs_of_messages(ctx: Context, messages: Sequence[Message]) -> dict[UUID, Run]:
    """By message: the newest run of a user's message, and the run that wrote an assistant's."""
    user = ctx.user
    questions = {message.id: _question_id(message) for message in messages}

    def work(session: Session) -> list[Run]:
        wanted = [question_id for question_id in set(questions.values()) if question_id is not None]
        rows = session.execute(_visible_runs(session, user).where(RunRow.user_message_id.in_(wanted)))
        return sorted(map(to_run, rows), key=lambda run: (run.created_at, run.id))

    runs = await ctx.db.read(work)
    of_question = {run.user_message_id: run for run in runs}
    of_answer = {run.assistant_message_id: run for run in runs}
    found = {
        message_id: of_question.get(message_id) if question_id == message_id else of_answer.get(message_id)
        for message_id, question_id in questions.items()
    }
    return {message_id: run for message_id, run in found.items() if run is not None}


def _question_id(message: Message) -> UUID | None:
    return message.id if message.sender_type is SenderType.USER else message.parent_id


def _visible_runs(session: Session, user: User) -> Select[Any]:
    """All runs of all threads that the caller may see."""
    own = visible(session, user)
    runs = select(*RUN_COLUMNS).join_from(ThreadRow, RunRow, RunRow.thread_id == ThreadRow.id)
    return runs.where(*own.conditions).params(own.parameters)


async def cancel_run(ctx: Context, run_id: UUID) -> Run:
    """End the caller's run and return it as it ended; a finished one stays as it is.

    Runs of deleted threads, too: an answer goes on while its thread may be restored.
    Raises `RunNotFound`, `NotAllowed`.
    """
    run = await _find_run(ctx, run_id, deleted_too=True)
    if run.status.is_final:
        return run
    await ctx.runs.cancel(run)
    await _end(ctx, run.id, await _reader(ctx, run, None))
    return await _find_run(ctx, run_id, deleted_too=True)


async def follow_run(ctx: Context, run_id: UUID, after: str | None = None) -> Reader:
    """A reader of the caller's run from the cursor `after` on, or from its start.

    Raises `RunNotFound`, `NotAllowed`, `CursorInvalid`.
    """
    run = await get_run(ctx, run_id)
    cursor = Cursor.decode(after, run_id) if after is not None else None
    return await _reader(ctx, run, cursor)


async def follow_sent(ctx: Context, run: Run) -> Reader:
    """A reader, from its start, of a run that a send of the caller's has just told of."""
    return await _reader(ctx, run, None)


async def wait_for_end(ctx: Context, run_id: UUID) -> RunEnd:
    """How the caller's run ended, once it has. Raises `RunNotFound`, `NotAllowed`."""
    end = await _end(ctx, run_id, await follow_run(ctx, run_id))
    return end or RunEnd.of(await get_run(ctx, run_id))


async def _end(ctx: Context, run_id: UUID, reader: Reader) -> RunEnd | None:
    """How a run ended, once it has; None if its reader does not tell. Raises `ComeBack`."""
    try:
        while not reader.done:
            update = await reader.next()
            if isinstance(update, Batch) and update.events[-1].end is not None:
                return update.events[-1].end
    except ComeBack:
        return await _end_elsewhere(ctx, run_id)
    return None


async def _end_elsewhere(ctx: Context, run_id: UUID) -> RunEnd:
    """How a run ended that another process writes, for as long as this one waits for its own answers."""
    ends = time.monotonic() + ctx.settings.shutdown_grace_seconds
    while time.monotonic() < ends:
        run = await ctx.db.read(lambda session: store.get(session, run_id))
        if run.status.is_final:
            return RunEnd.of(run)
        await asyncio.sleep(_LOOK_SECONDS)
    raise ComeBack


def raise_failure(end: RunEnd) -> None:
    """Raise what a failed run failed of: `ProviderError`, or a fault of ours. Others pass."""
    if end.status is not RunStatus.FAILED:
        return
    sentence = end.error or "LLM provider error"
    if end.error_code == SERVER_STOPPED:
        raise AnswerStopped(sentence)
    if end.is_our_fault:
        raise CoreError(sentence)
    raise ProviderError(sentence)


async def _reader(ctx: Context, run: Run, cursor: Cursor | None) -> Reader:
    reader = await ctx.runs.open_reader(run, cursor)
    if reader is not None:
        return reader
    # Read again: it may have ended, and its log been dropped, since it was looked up.
    run, text = await ctx.db.read(lambda session: store.stored_answer(session, run.id))
    if not run.status.is_final:
        raise RunElsewhere
    return StoredReader(run, text, cursor)


async def _find_run(ctx: Context, run_id: UUID, *, deleted_too: bool = False) -> Run:
    return await ctx.db.read(lambda session: to_run(_own_run(session, ctx, run_id, deleted_too=deleted_too)))


def _own_run(session: Session, ctx: Context, run_id: UUID, *, deleted_too: bool) -> RunRow:
    row = session.scalars(
        select(RunRow).where(RunRow.id == run_id, RunRow.owner_id == ctx.user.id)
    ).one_or_none()
    if row is None:
        raise RunNotFound
    try:
        own_thread(session, ctx.user, row.thread_id, deleted_too=deleted_too)
    except ThreadNotFound:  # it is deleted
        raise RunNotFound from None
    return row
