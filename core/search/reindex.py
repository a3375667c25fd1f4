"""`gwp-chat reindex`: the index anew, beside the one that answers searches, which it then replaces.

The server does the work if one is running; else this process does. All that is remembered is in the
database, so it may be stopped and started again at any time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.db.leadership import Leadership
from core.db.migrate import migrate
from core.db.models import MessageRow, ThreadRow
from core.db.search_models import EntryRow
from core.db.session import Database, DatabaseUnavailable
from core.db.sole import serving
from core.errors import SettingsError
from core.search.collections import add_collection, adopt, live_collection, newest_collection
from core.search.embedding import vector_model
from core.search.embedding_prefixes import VectorModel
from core.search.entries import microseconds
from core.search.index import VECTORS_LOCK, SearchIndex
from core.search.text_rebuild import begin_rebuild, is_rebuilding
from core.search.trigrams import rebuilt_until
from core.search.vectors import Collection, DirectoryTaken
from core.settings import Settings, load_settings
from core.signals import Signals

# The highest that PostgreSQL's integers reach: nothing is in it yet.
_NO_COLLECTION = 2**31 - 1
_LOOK_SECONDS = 0.2
_LOOK_AT_OTHERS_SECONDS = 1.0
# Longer than it takes a process to go on where another has ended.
PATIENCE_SECONDS = 15.0
NOBODY_WORKS = (
    "No process gives vectors: none runs that indexes (start `gwp-chat worker`), "
    "or it cannot reach its model or Chroma, of which its log tells"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much is done, of how much; `trouble` is why it does not go on, if it does not.

    Each text counts twice if all is made anew: for its trigrams, and for its vectors.
    """

    done: int
    total: int
    is_complete: bool
    trouble: str | None = None


async def reindex(
    settings: Settings, told: Callable[[Progress], None], since: datetime | None = None
) -> None:
    """Index everything anew, or embed what was written `since`; tell how far it is, and return at the end.

    Raises `SettingsError` if there is nothing to do it with, as where a server works with another model.
    """
    if not settings.search_enabled:
        raise SettingsError("CHAT_SEARCH_ENABLED: search is switched off, so there is no index")
    migrate(settings.database_url)
    signals = Signals()
    db = Database(settings.database_url, signals)
    try:
        model = vector_model(settings)
        async with _at_work(settings, db, signals) as index:
            if index is not None:
                await db.write(lambda session: adopt(session, model))
            elif not await db.read(lambda session: _may_be_served(session, model)):
                raise SettingsError(
                    "A server is running with another model, or another prefix of passages; stop it first, "
                    f"or start it with CHAT_EMBEDDING_MODEL_NAME={model.name} and the prefix that is set "
                    "here: then it does this by itself"
                )
            await db.write(lambda session: _begin(session, model, since))
            others = _Others(settings) if index is None else None
            while True:
                progress = await db.read(lambda session: _progress(session, model, since))
                trouble = index.health.trouble if index is not None else None
                if others is not None:
                    trouble = await asyncio.to_thread(others.trouble)
                told(replace(progress, trouble=trouble))
                if progress.is_complete:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    finally:
        db.close()


class _Others:
    """The processes that do the work, where this one does not; on PostgreSQL it is known whether one does."""

    def __init__(self, settings: Settings) -> None:
        is_known = settings.is_on_postgresql
        self._leadership = Leadership(settings.database_url, VECTORS_LOCK) if is_known else None
        self._look_at = self._idle_since = time.monotonic()

    def trouble(self) -> str | None:
        """Why nothing is done, if nobody has been at work for a while. Blocking."""
        now = time.monotonic()
        if self._leadership is None:
            return None
        if now >= self._look_at:
            self._look_at = now + _LOOK_AT_OTHERS_SECONDS
            with suppress(DatabaseUnavailable):
                if not self._leadership.is_held():  # then another process has it
                    self._idle_since = now
            self._leadership.close()
        return NOBODY_WORKS if now - self._idle_since > PATIENCE_SECONDS else None


@asynccontextmanager
async def _at_work(settings: Settings, db: Database, signals: Signals) -> AsyncIterator[SearchIndex | None]:
    """An index of this process that is at work; None if a server does the work."""
    index = SearchIndex(settings, db, signals, is_indexing=True)
    with ExitStack() as stack:
        try:
            is_at_work = await _begin_work(index, settings, stack)
            yield index if is_at_work else None
        finally:
            await index.close()


async def _begin_work(index: SearchIndex, settings: Settings, stack: ExitStack) -> bool:
    """Whether this index works now, rather than that of a server."""
    if settings.chroma_url is not None:  # whoever wants may use that, so the database is asked who works
        try:
            stack.enter_context(serving(settings.database_url, is_one_of_many=False))
        except SettingsError:
            return False
    try:
        await index.start()
    except DirectoryTaken:
        return False
    return True


def _may_be_served(session: Session, model: VectorModel) -> bool:
    """Whether a server that runs may be one that has this model."""
    newest = newest_collection(session)
    return newest is None or newest.collection.model.makes_same_passages_as(model)


def _begin(session: Session, model: VectorModel, since: datetime | None) -> None:
    """Have the texts since then embedded anew in place; or new trigrams and a new collection for all."""
    if since is not None:
        session.execute(
            update(EntryRow)
            .where(EntryRow.created_at >= microseconds(since))
            .values(embedded_in=0)
            .execution_options(synchronize_session=False)
        )
        return
    begin_rebuild(session)
    newest, live = newest_collection(session), live_collection(session)
    # One that is being filled is gone on with; that of a model which is new, the indexer makes by itself.
    if newest is not None and newest == live and newest.collection.model.makes_same_passages_as(model):
        add_collection(session, Collection.new(model, newest.collection.dimension))


def _progress(session: Session, model: VectorModel, since: datetime | None) -> Progress:
    newest, live = newest_collection(session), live_collection(session)
    is_ours = newest is not None and newest.collection.model.makes_same_passages_as(model)
    number = newest.number if newest is not None and is_ours else _NO_COLLECTION
    unindexed = sum(
        session.scalar(select(func.count()).select_from(table).where(table.entry_id.is_(None))) or 0
        for table in (MessageRow, ThreadRow)
    )
    total = session.scalar(select(func.count()).select_from(EntryRow)) or 0
    done = session.scalar(select(func.count()).where(EntryRow.embedded_in >= number)) or 0
    is_complete = is_ours and newest == live and done == total and not unindexed
    if since is not None:
        return Progress(done, total + unindexed, is_complete)
    after = rebuilt_until(session)
    made = total if after is None else session.scalar(select(func.count()).where(EntryRow.id <= after)) or 0
    return Progress(done + made, 2 * total + unindexed, is_complete and not is_rebuilding(session))


def main() -> None:
    """`python -m core.search.reindex`: as `gwp-chat reindex`, without a progress bar."""
    asyncio.run(reindex(load_settings(), lambda _progress: None))


if __name__ == "__main__":
    main()
