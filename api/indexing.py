"""`gwp-chat worker`: a process that indexes texts for those that serve."""

import asyncio
import signal

from api.server import check_engines
from api.services import running_index
from core.errors import SettingsError
from core.logs import configure_logging, get_logger
from core.settings import Settings

_logger = get_logger(__name__)


def index(settings: Settings) -> None:
    """Index until SIGTERM or Ctrl-C. Raises `SettingsError` if there is nothing that it could do it with."""
    if not settings.search_enabled:
        raise SettingsError("CHAT_SEARCH_ENABLED: search is switched off, so there is no index")
    check_engines(settings, "worker")
    configure_logging(settings.log_level)
    asyncio.run(_index(settings))


async def _index(settings: Settings) -> None:
    is_over, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_over.set)
    async with running_index(settings):
        _logger.info("indexing")
        await is_over.wait()
