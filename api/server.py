"""The HTTP server of `serve` and `demo`."""

import asyncio
import functools
import gc
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from api.app import create_app
from api.services import running_services
from api.slow_clients import protocol_with_deadlines
from api.workers import Workers, WorkersFailed
from core.context import Services
from core.db.migrate import migrate
from core.errors import SettingsError
from core.logs import configure_logging, get_logger
from core.settings import DEFAULT_SECRET, Settings

_logger = get_logger(__name__)

# Beyond the runs' own grace: their last events have to reach the readers.
FAREWELL_SECONDS = 5
FORCE_POLL_SECONDS = 0.1
LAST_WORDS_SECONDS = 0.5
LARGEST_WEBSOCKET_MESSAGE = 1024 * 1024


def check_exposure(settings: Settings, host: str) -> None:
    """Raise `SettingsError` if others could reach this host and forge tokens with the known secret."""
    if settings.jwt_secret_key == DEFAULT_SECRET and not _is_loopback(host):
        raise SettingsError(
            f"CHAT_JWT_SECRET_KEY: set a secret of your own before serving on {host}; "
            "with the default one anybody can sign in as anybody"
        )


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int = 1,
    on_started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain. Raises `SettingsError` if it cannot start."""
    check_exposure(settings, host)
    check_workers(settings, workers)
    configure_logging(settings.log_level)
    with _bind(host, port) as bound:
        if workers == 1:
            _serve(settings, bound, on_started)
            return
        migrate(settings.database_url)  # what is wrong with it is told once
        try:
            Workers(functools.partial(_serve_as_worker, settings), bound, workers).run()
        except WorkersFailed as error:
            raise SettingsError(f"--workers: {error}") from None


def check_workers(settings: Settings, workers: int) -> None:
    """Raise `SettingsError` unless so many processes can work together, saying what to set."""
    if workers == 1:
        if settings.search_enabled and not settings.search_indexing:
            check_engines(settings, "CHAT_SEARCH_INDEXING=false leaves it to `gwp-chat worker`, which")
        return
    more = []
    if settings.search_enabled and not settings.chroma_url:
        more.append("or CHAT_SEARCH_ENABLED: set it to false")
    if settings.jwt_secret_key == DEFAULT_SECRET:
        more.append("CHAT_JWT_SECRET_KEY: set a secret of your own")
    check_engines(settings, f"--workers {workers}", more)


def check_engines(settings: Settings, asked_for: str, more: Sequence[str] = ()) -> None:
    """Raise `SettingsError` if engines that several processes share are missing, or `more` is; say what."""
    missing = [
        sentence
        for sentence, is_missing in (
            ("CHAT_DATABASE_URL: SQLite has one writer; use PostgreSQL", not settings.is_on_postgresql),
            ("CHAT_REDIS_URL: set it, so that answers are read in every process", not settings.redis_url),
            (
                "CHAT_CHROMA_URL: set it, a directory is one process's",
                settings.search_enabled and not settings.chroma_url,
            ),
        )
        if is_missing
    ]
    if missing or more:
        raise SettingsError(f"{asked_for} needs more: " + "; ".join((*missing, *more)))


def _serve_as_worker(settings: Settings, bound: socket.socket, on_started: Callable[[], None]) -> None:
    configure_logging(settings.log_level)
    try:
        _serve(settings, bound, on_started)
    except SettingsError as error:
        _logger.error("worker cannot start", error=str(error))  # noqa: TRY400 - the sentence says it all
        sys.exit(2)


def _serve(settings: Settings, bound: socket.socket, on_started: Callable[[], None]) -> None:
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        lifespan="off",
        http=protocol_with_deadlines(settings.header_timeout_seconds, settings.send_timeout_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=int(settings.shutdown_grace_seconds + FAREWELL_SECONDS),
        ws_max_size=LARGEST_WEBSOCKET_MESSAGE,
    )

    async def run() -> None:
        async with running_services(settings) as services:
            app.state.services = services
            _calm_collector()
            await _DrainingServer(config, services, on_started).serve(sockets=[bound])

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


def _calm_collector() -> None:
    """Have the garbage collector look at what came since the start, and less often.

    It stops everything while it looks. Half a million objects stay for ever, and a stream allocates a few
    for each chunk: with the interpreter's own thresholds a quarter of the time of streaming is its.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class _DrainingServer(uvicorn.Server):
    """On SIGTERM, takes no new work and lets running answers finish while their readers listen."""

    def __init__(self, config: uvicorn.Config, services: Services, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._services = services
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        for bound in sockets or ():
            host, port = bound.getsockname()[:2]
            _logger.info("listening", host=host, port=port)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the runs beside uvicorn's own shutdown, which waits for the readers."""
        runs, settings = self._services.runs, self._services.settings
        self._services.leaving.set()
        await self._sleep(settings.shutdown_delay_seconds)
        if settings.is_one_of_many:
            # Who comes now is another process's; who came last gets to say what they want.
            for server in self.servers:
                server.close()
            await self._sleep(LAST_WORDS_SECONDS)
        drain = asyncio.create_task(runs.drain(settings.shutdown_grace_seconds))
        impatience = asyncio.create_task(self._stop_when_forced())
        await asyncio.sleep(0)  # the drain has begun: streams that would never end are told
        self._services.signals.publish_all()
        await super().shutdown(sockets)
        await drain
        impatience.cancel()

    async def _sleep(self, seconds: float) -> None:
        """Serve on for so long, or until a second Ctrl-C."""
        ends = asyncio.get_running_loop().time() + seconds
        while not self.force_exit and (left := ends - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110 - a signal handler sets it
            await asyncio.sleep(min(left, FORCE_POLL_SECONDS))

    async def _stop_when_forced(self) -> None:
        """On a second Ctrl-C, do not wait for running answers any longer."""
        while not self.force_exit:  # noqa: ASYNC110 - a signal handler sets it, on no loop
            await asyncio.sleep(FORCE_POLL_SECONDS)
        self._services.runs.stop_now()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is spent: raised again it would cut the end of the drain."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def _bind(host: str, port: int) -> socket.socket:
    """A socket bound before anything else starts, so that a taken port is told at once."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise SettingsError(
            f"--port: cannot listen on {host} port {port} ({error.strerror}); choose another one"
        ) from None
    return bound


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
