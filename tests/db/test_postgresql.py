"""The same code on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from core.db.engines import database_url, writer_engine
from core.db.migrate import head_revision, migrate
from core.db.models import Base
from tests.clients import Client, chunks
from tests.db.schema import COMPARED
from tests.postgresql import postgresql
from tests.provider.client import ProviderProcess
from tests.provider.script import text_stream
from tests.servers import PASSWORD, ServerProcess


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql() as found:
        yield found


@pytest.fixture(scope="module")
def pg_server(
    url: str, provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    settings = {"CHAT_DATABASE_URL": url}
    with ServerProcess(tmp_path_factory.mktemp("pg"), f"{provider.base_url}/v1", settings) as server:
        yield server


@pytest.fixture(scope="module")
def first(pg_server: ServerProcess) -> Iterator[Client]:
    """The first account, of two that were asked for at the same moment."""

    def register(name: str) -> int:
        with pg_server.client() as client:
            body = {"username": name, "password": PASSWORD}
            return client.post("/api/auth/register", json=body).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = dict(zip("ab", pool.map(register, "ab"), strict=True))
    assert sorted(statuses.values()) == [201, 401]
    (winner,) = (name for name, status in statuses.items() if status == 201)
    with pg_server.client().sign_in(winner, PASSWORD) as client:
        yield client


def test_starters_at_the_same_moment_migrate_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate, [url] * 4)) == [head_revision()] * 4
    engine = writer_engine(database_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=COMPARED)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_two_first_registrations_yield_one_administrator(first: Client) -> None:
    assert first.get("/api/auth/me").json()["roles"] == ["admin"]


def test_a_chat_is_streamed_and_stored(first: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("Grüße", " aus Köln", usage=(3, 2), conversation_id="c-1"))
    thread_id = first.new_thread(metadata={"product": "p"})["id"]

    said = chunks(first.stream_text(thread_id, "Hallo", model=model))

    assert said[-1]["agent_status"] == "completed"
    answer, question = first.messages(thread_id)
    assert (question["text"], answer["text"], answer["tokens_count"]) == ("Hallo", "Grüße aus Köln", 2)
    assert first.get("/api/threads").json()["pagination"]["total"] == 1
    assert first.get(f"/api/provider-threads/{thread_id}").json()["conversation_id"] == "c-1"


def test_sends_to_one_thread_at_once_go_in_order_and_lose_nothing(
    first: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("answer"))
    thread_id = first.new_thread()["id"]

    with ThreadPoolExecutor(8) as pool:
        sends = pool.map(lambda number: first.send_message(thread_id, str(number), model=model), range(8))
        assert {response.status_code for response in sends} == {201}

    stored = first.messages(thread_id, limit=50)
    assert len(stored) == 16
    assert {message["text"] for message in stored} == {"answer", *map(str, range(8))}


def test_text_that_the_engine_cannot_hold_is_refused_or_shown(
    first: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("a\0b"))
    thread_id = first.new_thread()["id"]
    assert first.send_message(thread_id, "x", model=f"{model}\0").status_code in (400, 422)
    assert first.send_message(thread_id, "c\0d", model=model).status_code == 201
    answer, question = first.messages(thread_id)
    assert (question["text"], answer["text"]) == ("c\ufffdd", "a\ufffdb")


def test_a_second_server_on_the_same_database_is_refused(
    first: Client, url: str, provider: ProviderProcess, tmp_path: Path
) -> None:
    second = ServerProcess(tmp_path, f"{provider.base_url}/v1", {"CHAT_DATABASE_URL": url})
    with pytest.raises(AssertionError, match="another gwp-chat server is working on"):
        second.start()
    assert second.wait() == 2
    assert first.get("/health/ready").status_code == 200
