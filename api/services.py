"""The parts of one process, started in order and stopped in reverse."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.auth.bearers import KnownBearers
from core.auth.passwords import Passwords
from core.auth.tokens import Tokens
from core.broker.broker import Broker
from core.broker.cancels import SharedCancels
from core.broker.places import SharedPlaces
from core.broker.signals import SharedSignals
from core.context import Services
from core.db.migrate import migrate
from core.db.session import Database
from core.db.sole import serving
from core.files.directory import DirectoryStore
from core.files.object_store import ObjectStore
from core.logs import get_logger
from core.places import Places
from core.provider.client import ProviderClient
from core.runs.engine import RunEngine
from core.runs.log import EventLog
from core.runs.memory_log import MemoryLog
from core.runs.redis_log import RedisLog
from core.search.index import SearchIndex
from core.settings import DEFAULT_SECRET, Settings
from core.signals import Signals

_BESIDE_ANOTHER = ", give this one a database of its own, or set CHAT_REDIS_URL for both"

_logger = get_logger(__name__)


@asynccontextmanager
async def running_services(settings: Settings) -> AsyncIterator[Services]:
    """Migrate, open everything, go on with what waits; at the end drain and close.

    Raises `SettingsError` if another server works on this database.
    """
    if settings.jwt_secret_key == DEFAULT_SECRET:
        _logger.warning("CHAT_JWT_SECRET_KEY is the default: anybody who reaches this server can sign in")
    signals = Signals()
    db = Database(settings.database_url, signals)
    try:
        migrate(settings.database_url)
        with serving(settings.database_url, is_one_of_many=settings.is_one_of_many, remedy=_BESIDE_ANOTHER):
            async with _shared_parts(settings, signals) as (log, cancels, places):
                files = (
                    ObjectStore(settings)
                    if settings.files_url is not None
                    else DirectoryStore(settings.attachments_storage_dir)
                )
                provider = ProviderClient(settings)
                runs = RunEngine(settings, db, files, provider, log, cancels=cancels)
                passwords = Passwords(settings)
                search = SearchIndex(settings, db, signals, is_indexing=settings.search_indexing)
                await search.start()
                await runs.start(alone=db.file is not None)
                try:
                    yield Services(
                        settings,
                        db,
                        files,
                        provider,
                        runs,
                        passwords,
                        Tokens(settings),
                        KnownBearers(signals),
                        signals,
                        search,
                        places,
                        threading.Event(),
                    )
                finally:
                    await runs.drain(settings.shutdown_grace_seconds)
                    await search.close()
                    await provider.close()
                    passwords.close()
    finally:
        db.close()


@asynccontextmanager
async def running_index(settings: Settings) -> AsyncIterator[None]:
    """Index beside the processes that serve, until the block ends. Raises as `running_services`."""
    signals = Signals()
    db = Database(settings.database_url, signals)
    try:
        migrate(settings.database_url)
        with serving(settings.database_url, is_one_of_many=True, remedy=_BESIDE_ANOTHER):
            async with _broker(settings, signals):
                search = SearchIndex(settings, db, signals, is_indexing=True)
                await search.start()
                try:
                    yield
                finally:
                    await search.close()
    finally:
        db.close()


@asynccontextmanager
async def _shared_parts(
    settings: Settings, signals: Signals
) -> AsyncIterator[tuple[EventLog, SharedCancels | None, Places]]:
    """Event log, cancels and places: of this process alone, or its part of what all processes share."""
    run_bytes, retention = settings.run_log_bytes, settings.run_retention_seconds
    async with _broker(settings, signals) as broker:
        if broker is None:
            yield MemoryLog(run_bytes=run_bytes, retention_seconds=retention), None, Places()
            return
        log = RedisLog(broker, run_bytes=run_bytes, retention_seconds=retention)
        places = SharedPlaces(broker)
        try:
            yield log, SharedCancels(broker), places
        finally:
            await places.close()
            await log.close()


@asynccontextmanager
async def _broker(settings: Settings, signals: Signals) -> AsyncIterator[Broker | None]:
    """What joins this process to others, `signals` with it; None for a process alone."""
    if settings.redis_url is None:
        yield None
        return
    broker = Broker(settings.redis_url)
    await broker.start()
    shared_signals = SharedSignals(broker, signals)
    try:
        yield broker
    finally:
        await shared_signals.close()
        await broker.close()
