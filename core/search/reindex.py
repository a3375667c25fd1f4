"""`gwp-chat reindex`: all vectors anew, beside those that answer searches, which they then replace.

The server fills the new collection if one is running; else this process does. All that is remembered is
in the database, so it may be stopped and started again at any time.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.db.migrate import migrate
from core.db.models import MessageRow, ThreadRow
from core.db.search_models import CollectionRow, EntryRow
from core.db.session import Database
from core.errors import SettingsError
from core.search.collections import add_collection
from core.search.entries import microseconds
from core.search.index import SearchIndex
from core.search.vectors import Collection, DirectoryTaken
from core.settings import Settings, load_settings
from core.signals import Signals

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """How many texts are indexed, of how many; `trouble` is why it does not go on, if it does not."""

    done: int
    total: int
    is_complete: bool
    trouble: str | None = None


async def reindex(
    settings: Settings, told: Callable[[Progress], None], since: datetime | None = None
) -> None:
    """Embed everything anew, or what was written `since`, telling how far it is; return once that is done.

    Raises `SettingsError` if there is nothing to do it with, as where a server works with another model.
    """
    if not settings.search_enabled:
        raise SettingsError("CHAT_SEARCH_ENABLED: search is switched off, so there is no index")
    migrate(settings.database_url)
    signals = Signals()
    db = Database(settings.database_url, signals)
    try:
        model = settings.embedding_model_name
        async with _at_work(settings, db, signals) as index:
            if index is None and await db.read(_live_model) not in (model, None):
                raise SettingsError(
                    f"A server is running with another model; stop it first, or start it with "
                    f"CHAT_EMBEDDING_MODEL_NAME={model}: then it does this by itself"
                )
            await db.write(lambda session: _begin(session, model, since))
            while True:
                progress = await db.read(lambda session: _progress(session, model))
                told(replace(progress, trouble=index.health.trouble if index is not None else None))
                if progress.is_complete:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    finally:
        db.close()


@asynccontextmanager
async def _at_work(settings: Settings, db: Database, signals: Signals) -> AsyncIterator[SearchIndex | None]:
    """An index of this process that is at work; None if a server has it, and does the work."""
    index = SearchIndex(settings, db, signals)
    try:
        try:
            await index.start()
        except DirectoryTaken:
            yield None
        else:
            yield index
    finally:
        await index.close()


def _live_model(session: Session) -> str | None:
    return session.scalar(select(CollectionRow.model).where(CollectionRow.is_live))


def _newest(session: Session) -> CollectionRow | None:
    return session.scalars(select(CollectionRow).order_by(CollectionRow.number.desc()).limit(1)).one_or_none()


def _begin(session: Session, model: str, since: datetime | None) -> None:
    """Have texts embedded anew: those since then in place, or all of them into a new collection."""
    if since is not None:
        session.execute(
            update(EntryRow)
            .where(EntryRow.created_at >= microseconds(since))
            .values(embedded_in=0)
            .execution_options(synchronize_session=False)
        )
        return
    newest = _newest(session)
    # One that is being filled is gone on with; that of a model which is new, the indexer makes by itself.
    if newest is not None and newest.is_live and newest.model == model:
        add_collection(session, Collection.new(model, newest.dimension))


def _progress(session: Session, model: str) -> Progress:
    newest = _newest(session)
    number = newest.number if newest is not None and newest.model == model else sys.maxsize
    unindexed = sum(
        session.scalar(select(func.count()).select_from(table).where(table.entry_id.is_(None))) or 0
        for table in (MessageRow, ThreadRow)
    )
    total = session.scalar(select(func.count()).select_from(EntryRow)) or 0
    done = session.scalar(select(func.count()).where(EntryRow.embedded_in >= number)) or 0
    is_live = newest is not None and newest.is_live and newest.model == model
    is_complete = is_live and done == total and not unindexed
    return Progress(done, total + unindexed, is_complete)


def main() -> None:
    """`python -m core.search.reindex`: as `gwp-chat reindex`, without a progress bar."""
    asyncio.run(reindex(load_settings(), lambda _progress: None))


if __name__ == "__main__":
    main()
