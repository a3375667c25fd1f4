"""Runs: looked at, followed, waited for and cancelled by their owners."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.mapping import to_run
from core.db.models import MessageRow, RunRow
from core.db.records import Run, RunStatus
from core.errors import AnswerStopped, CoreError, ProviderError, RunNotFound, ThreadNotFound, Unavailable
from core.resolvers.access import own_thread
from core.runs.events import SERVER_STOPPED, Batch, Cursor, RunEnd
from core.runs.log import Reader
from core.runs.stored_log import StoredReader


class RunElsewhere(Unavailable):
    code = "RUN_ELSEWHERE"

    def __init__(self) -> None:
        super().__init__("This answer is not being written by this process; try again in a moment")


async def get_run(ctx: Context, run_id: UUID) -> Run:
    """The caller's run. Raises `RunNotFound`, `NotAllowed`."""
    return await ctx.db.read(lambda session: to_run(_own_run(session, ctx, run_id)))


async def cancel_run(ctx: Context, run_id: UUID) -> Run:
    """End the caller's run and return it as it ended; a finished one stays as it is.

    Raises `RunNotFound`, `NotAllowed`.
    """
    run = await get_run(ctx, run_id)
    if run.status.is_final:
        return run
    await ctx.runs.cancel(run)
    await wait_for_end(ctx, run_id)
    return await get_run(ctx, run_id)


async def follow_run(ctx: Context, run_id: UUID, after: str | None = None) -> Reader:
    """A reader of the caller's run from the cursor `after` on, or from its start.

    Raises `RunNotFound`, `NotAllowed`, `CursorInvalid`.
    """
    run = await get_run(ctx, run_id)
    cursor = Cursor.decode(after, run_id) if after else None
    return await _reader(ctx, run, cursor)


async def wait_for_end(ctx: Context, run_id: UUID) -> RunEnd:
    """How the caller's run ended, once it has. Raises `RunNotFound`, `NotAllowed`."""
    reader = await follow_run(ctx, run_id)
    while not reader.done:
        update = await reader.next()
        if isinstance(update, Batch) and update.events[-1].end is not None:
            return update.events[-1].end
    return RunEnd.of(await get_run(ctx, run_id))


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
    reader = ctx.runs.reader(run.id, cursor)
    if reader is not None:
        return reader

    def work(session: Session) -> tuple[Run, str]:
        row = session.get_one(RunRow, run.id)
        text = None
        if row.assistant_message_id is not None:
            text = session.scalar(select(MessageRow.text).where(MessageRow.id == row.assistant_message_id))
        return to_run(row), text or ""

    # Read again: it may have ended, and its log been dropped, since it was looked up.
    run, text = await ctx.db.read(work)
    if not run.status.is_final:
        raise RunElsewhere
    return StoredReader(run, text, cursor)


def _own_run(session: Session, ctx: Context, run_id: UUID) -> RunRow:
    row = session.scalars(
        select(RunRow).where(RunRow.id == run_id, RunRow.owner_id == ctx.user.id)
    ).one_or_none()
    if row is None:
        raise RunNotFound
    try:
        own_thread(session, ctx.user, row.thread_id)
    except ThreadNotFound:  # it is deleted
        raise RunNotFound from None
    return row
