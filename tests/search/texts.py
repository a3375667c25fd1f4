"""Messages that are written past the product, as an import would."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from core.context import Context
from core.db.models import MessageRow, ThreadRow


async def add_texts(ctx: Context, thread_id: UUID, texts: Sequence[str]) -> None:
    """Give a thread messages of these texts."""

    def work(session: Session) -> None:
        for position, text in enumerate(texts, 1):
            values = {"thread_id": thread_id, "position": position, "text": text, "attributes": {}}
            session.execute(
                insert(MessageRow).values(sender_id="x", sender_type="user", status="ready", **values)
            )
        session.execute(update(ThreadRow).where(ThreadRow.id == thread_id).values(message_count=len(texts)))

    await ctx.db.write(work)
