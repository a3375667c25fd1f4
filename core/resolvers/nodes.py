"""Nodes: anything of the caller's by its id alone, whatever kind it is."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from core.context import Context
from core.db.records import Attachment, Message, ProviderThread, Run, Thread, User
from core.errors import InvalidInput
from core.resolvers.attachments import load_attachments
from core.resolvers.messages import load_messages
from core.resolvers.provider_threads import load_provider_threads
from core.resolvers.runs import load_runs
from core.resolvers.threads import load_threads
from core.resolvers.users import load_users

MOST_IDS = 100

Node = Thread | Message | Run | Attachment | ProviderThread | User


async def find_nodes(ctx: Context, ids: Sequence[UUID]) -> dict[UUID, Node]:
    """Those of these things that the caller may see. Raises `InvalidInput` for more than 100 ids."""
    user = ctx.user
    if len(ids) > MOST_IDS:
        raise InvalidInput("ids", f"ids must be at most {MOST_IDS}")

    def work(session: Session) -> dict[UUID, Node]:
        return {
            **load_threads(session, user, ids),
            **load_messages(session, user, ids),
            **load_runs(session, user, ids),
            **load_attachments(session, user, ids),
            **load_provider_threads(session, user, ids),
            **load_users(session, user, ids),
        }

    return await ctx.db.read(work)
