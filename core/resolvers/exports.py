"""Exports: a thread as a file."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.context import Context
from core.db.messages import attachments_of_thread
from core.db.models import MessageRow
from core.exports import Entry, ExportedFile, ExportFormat, Transcript, render
from core.resolvers.access import own_thread

# Their own threads: rendering takes seconds, and nothing else should wait for it.
_RENDERERS = ThreadPoolExecutor(2, thread_name_prefix="export")


async def export_thread(ctx: Context, thread_id: UUID, export_format: ExportFormat) -> ExportedFile:
    """The caller's thread, oldest message first, as a file. Raises `ThreadNotFound`, `NotAllowed`."""
    user = ctx.user

    def work(session: Session) -> Transcript:
        thread = own_thread(session, user, thread_id)
        files = attachments_of_thread(session, thread_id)
        rows = session.scalars(
            select(MessageRow).where(MessageRow.thread_id == thread_id).order_by(MessageRow.position)
        )
        entries = tuple(
            Entry(
                sender_type=row.sender_type,
                created_at=row.created_at,
                text=row.text,
                attachments=tuple(file.filename for file in files.get(row.id, [])),
                error=row.error_code,
            )
            for row in rows
        )
        return Transcript(thread.title or "", thread.created_at, entries)

    transcript = await ctx.db.read(work)
    return await asyncio.get_running_loop().run_in_executor(_RENDERERS, render, transcript, export_format)
