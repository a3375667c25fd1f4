"""A schema whose sources do what tests need, behind the real transports, on a server in this process."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import strawberry
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from api.middleware import BodyLimit, RequestLog
from api.server import LARGEST_WEBSOCKET_MESSAGE
from api.services import running_services
from core.settings import Settings
from graphql_schema.transports.router import graphql_routes
from tests.clients import Client
from tests.servers import SECRET, START_SECONDS

HUSH = "what nobody may hear"
LOAD = "x" * 65536
# What may be under way to a client that does not read: mostly what the kernel keeps for both ends.
MOST_UNDER_WAY = 32 * 2**20


class Sources:
    """The generators of this process by name: how many live, and how much they gave."""

    def __init__(self) -> None:
        self.living: Counter[str] = Counter()
        self.given: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def living_one(self, name: str) -> Iterator[None]:
        self._count(name, 1)
        try:
            yield
        finally:
            self._count(name, -1)

    def wait_for_living(self, name: str, count: int) -> bool:
        """Whether so many live, at the latest in a moment."""
        with self._changed:
            return self._changed.wait_for(lambda: self.living[name] == count, timeout=10)

    def _count(self, name: str, difference: int) -> None:
        with self._changed:
            self.living[name] += difference
            self._changed.notify_all()


SOURCES = Sources()


@strawberry.type
class Query:
    @strawberry.field
    async def forever(self, name: str) -> int:
        with SOURCES.living_one(name):
            await asyncio.Event().wait()
        return 1

    @strawberry.field
    def broken(self) -> int:
        raise RuntimeError(HUSH)


@strawberry.type
class Mutation:
    @strawberry.mutation
    def broken(self, password: str) -> int:
        raise RuntimeError(f"{HUSH}: {password}")


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, name: str) -> AsyncGenerator[int, None]:
        """Always ready, without end."""
        with SOURCES.living_one(name):
            while True:
                SOURCES.given[name] += 1
                yield SOURCES.given[name]

    @strawberry.subscription
    async def loads(self, name: str) -> AsyncGenerator[str, None]:
        """Always ready, without end, and large."""
        with SOURCES.living_one(name):
            while True:
                SOURCES.given[name] += 1
                yield LOAD

    @strawberry.subscription
    async def silence(self, name: str) -> AsyncGenerator[int, None]:
        """One event, then none."""
        with SOURCES.living_one(name):
            yield 1
            await asyncio.Event().wait()

    @strawberry.subscription
    async def breaks(self, after: int = 0) -> AsyncGenerator[int, None]:
        for number in range(after):
            yield number
        raise RuntimeError(HUSH)

    @strawberry.subscription
    async def refused(self) -> AsyncGenerator[int, None]:
        raise RuntimeError(HUSH)


def wait_until_blocked(client: Client, name: str) -> None:
    """Wait until the source of loads gives no more, although it has its turns; it may not give much."""
    given, unchanged = -1, 0
    while unchanged < 50:
        # Whoever asks gives the source a turn: if it were not waiting, it would go on.
        assert client.post("/graphql", json={"query": "{ __typename }"}).status_code == 200
        unchanged = unchanged + 1 if SOURCES.given[name] == given else 0
        given = SOURCES.given[name]
        assert given * len(LOAD) < MOST_UNDER_WAY


class LabServer:
    """The lab's schema at `/graphql`, with the settings that `create_app` takes, in a thread."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self._settings = Settings(
            _env_file=None,
            database_url=f"sqlite:///{directory / 'lab.db'}",
            attachments_storage_dir=directory / "storage",
            jwt_secret_key=SECRET,
            chroma_persist_directory=directory / "chroma",
            **settings,
        )
        self._started = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        # Its connections', too: a buffer that grows would unblock who has been found blocked.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._structlog = structlog.get_config()
        structlog.configure(processors=[_drop])  # rendering tracebacks takes seconds
        config = uvicorn.Config(
            self._app(),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            ws_max_size=LARGEST_WEBSOCKET_MESSAGE,
        )
        self._server = _Server(config, self._started)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        assert self._started.wait(START_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        structlog.configure(**self._structlog)

    def client(self) -> Client:
        return Client(self.url)

    def _app(self) -> Starlette:
        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            async with running_services(self._settings) as services:
                app.state.services = services
                yield

        schema = strawberry.Schema(Query, Mutation, Subscription)
        return Starlette(
            routes=graphql_routes(self._settings, "/graphql", schema._schema),  # noqa: SLF001 - as schema.py
            middleware=[
                Middleware(RequestLog),
                Middleware(
                    BodyLimit, limit=self._settings.max_body_bytes, timeout=30, graphql_path="/graphql"
                ),
            ],
            lifespan=lifespan,
        )


def _drop(_logger: object, _method: str, _event: object) -> NoReturn:
    raise structlog.DropEvent


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._started_event = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started_event.set()
