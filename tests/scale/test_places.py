"""Limits of open connections, over all processes on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from core.broker import places
from core.broker.broker import Broker
from core.broker.places import SharedPlaces
from tests.clients import Client
from tests.graphql.transports.wire import THREADS, event_stream, refused, socket
from tests.provider.client import ProviderProcess
from tests.runs.following import poll
from tests.scale.conftest import Engines, new_server
from tests.servers import PASSWORD
from tests.valkey import ValkeyProcess, valkey

PATIENCE = 30.0


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyProcess]:
    monkeypatch.setattr(places, "BEAT_SECONDS", 0.1)
    with valkey() as server:
        yield server


@asynccontextmanager
async def process(url: str) -> AsyncIterator[SharedPlaces]:
    """The places of one process."""
    broker = Broker(url)
    await broker.start()
    made = SharedPlaces(broker)
    try:
        yield made
    finally:
        await made.close()
        await broker.close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - what it waits for is another process
            await asyncio.sleep(0.01)


async def test_all_processes_together_have_so_many_places(broker: ValkeyProcess) -> None:
    async with process(broker.url) as one, process(broker.url) as two:
        assert [await each.take("a", 3) for each in (one, two, one, two, one)] == [True] * 3 + [False] * 2
        assert await two.take("b", 1)
        one.release("a")
        await until(lambda: two.take("a", 3))
        assert not await one.take("a", 3)


async def test_as_many_are_let_in_at_once_as_there_are_places(broker: ValkeyProcess) -> None:
    async with process(broker.url) as one, process(broker.url) as two:
        asked = [each.take("a", 20) for _ in range(20) for each in (one, two)]
        assert sum(await asyncio.gather(*asked)) == 20


async def test_who_leaves_or_dies_gives_its_places_back(
    broker: ValkeyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "LIFETIME_MS", 500)
    async with process(broker.url) as left:
        async with process(broker.url) as leaver:
            assert await leaver.take("a", 1)
            assert not await left.take("a", 1)
        assert await left.take("a", 1)
        left.release("a")
        async with process(broker.url) as victim:
            await until(lambda: victim.take("a", 1))
            victim._task.cancel()  # noqa: SLF001 - as if killed: it says nothing any more
            await until(lambda: left.take("a", 1))


async def test_while_the_broker_is_away_each_process_counts_for_itself(broker: ValkeyProcess) -> None:
    async with process(broker.url) as one, process(broker.url) as two:
        assert await one.take("a", 2)
        broker.kill()
        assert [await one.take("a", 2) for _ in range(2)] == [True, False]
        broker.start()  # with nothing in it: what is taken is told anew

        async def is_known() -> bool:
            if await two.take("a", 2):
                two.release("a")
                return False
            return True

        await until(is_known)
        one.release("a")
        await until(lambda: two.take("a", 2))


def test_connections_count_together(engines: Engines, provider: ProviderProcess, tmp_path: Path) -> None:
    settings = {"CHAT_GRAPHQL_MAX_CONNECTIONS_PER_USER": "2"}
    provider_url = f"{provider.base_url}/v1"

    def is_refused(client: Client) -> bool:
        response = client.post("/graphql", json={"query": THREADS}, headers={"Accept": "text/event-stream"})
        return refused(response, 429) == "TOO_MANY_CONNECTIONS"

    def is_let_in(client: Client) -> bool:
        with socket(client, init=False) as connection:
            payload = {"Authorization": client.headers["authorization"]}
            connection.send({"type": "connection_init", "payload": payload})
            with suppress(ConnectionClosed):
                return bool(connection.receive()["type"] == "connection_ack")
            return False

    with (
        new_server(engines, tmp_path / "one", provider_url, **settings) as one,
        new_server(engines, tmp_path / "two", provider_url, **settings) as two,
        one.admin() as first,
        two.client().sign_in("admin", PASSWORD) as second,
        ExitStack() as opened,
    ):
        opened.enter_context(event_stream(first, THREADS))
        with socket(second):
            assert is_refused(first)
            assert is_refused(second)
        poll(lambda: is_let_in(first), "the place of a closed socket is free elsewhere")
