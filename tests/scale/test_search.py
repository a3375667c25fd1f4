"""Several processes search one index, and one of them at a time gives texts their vectors."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from core.search.index import VECTORS_LOCK
from tests.clients import Client
from tests.conftest import unique
from tests.postgresql import postgresql
from tests.processes import free_port
from tests.provider.client import ProviderProcess
from tests.runs.following import poll
from tests.scale.conftest import engines_in, new_server
from tests.search.chroma_processes import ChromaServer
from tests.search.embeddings import EmbeddingApi
from tests.search.searching import PATIENCE_SECONDS, status, titles
from tests.servers import PASSWORD, ServerProcess
from tests.valkey import valkey


@dataclass(frozen=True, slots=True)
class Fleet:
    """Two servers, the first of which gives vectors, and the model that both ask."""

    one: ServerProcess
    two: ServerProcess
    embeddings: EmbeddingApi


@pytest.fixture
def fleet(tmp_path: Path, provider: ProviderProcess) -> Iterator[Fleet]:
    provider_url = f"{provider.base_url}/v1"
    with (
        postgresql() as database_url,
        valkey() as broker,
        ChromaServer(new_directory(tmp_path / "chroma")) as chroma,
        EmbeddingApi() as embeddings,
    ):
        engines = engines_in(tmp_path, database_url, broker.url)
        search = {"CHAT_SEARCH_ENABLED": "true", "CHAT_CHROMA_URL": chroma.url, **embeddings.settings}
        # So that a text which is asked for is not taken for one that is stored.
        search["CHAT_EMBEDDING_QUERY_PREFIX"] = "query: "
        with new_server(engines, tmp_path / "one", provider_url, **search) as one:
            poll(lambda: somebody_gives_vectors(database_url), "the first one is at work", PATIENCE_SECONDS)
            with new_server(engines, tmp_path / "two", provider_url, **search) as two:
                yield Fleet(one, two, embeddings)


def new_directory(path: Path) -> Path:
    path.mkdir()
    return path


def somebody_gives_vectors(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        held = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
        return connection.execute(held, [VECTORS_LOCK]).fetchone() is not None


def wait_until_found(client: Client, title: str) -> None:
    poll(lambda: title in titles(client, title, "SEMANTIC", first=50), f"{title} is found", PATIENCE_SECONDS)


def test_what_one_process_stores_every_process_finds_and_each_text_is_embedded_once(fleet: Fleet) -> None:
    words = [unique("word") for _ in range(200)]
    with fleet.one.admin() as first, fleet.two.client().sign_in("admin", PASSWORD) as second:
        with ThreadPoolExecutor(2) as pool:
            halves = zip((first, second), (words[::2], words[1::2]), strict=True)
            assert all(pool.map(lambda half: [half[0].new_thread(title=title) for title in half[1]], halves))
        for client in (first, second):
            for word in words[-2:]:
                wait_until_found(client, word)
                assert word in titles(client, word, "TEXT")
            poll(lambda client=client: not status(client)["pending"], "nothing waits", PATIENCE_SECONDS)  # type: ignore[misc]
        passages = Counter(text for text in fleet.embeddings.texts if text in words)
        assert passages == Counter(words)

        thread_id = second.new_thread(title="Gone")["id"]
        wait_until_found(first, "Gone")
        assert second.delete(f"/api/threads/{thread_id}").is_success
        assert "Gone" not in titles(first, "Gone", "SEMANTIC")


def test_another_process_gives_vectors_when_the_first_one_cannot(
    tmp_path: Path, provider: ProviderProcess
) -> None:
    with (
        postgresql() as database_url,
        valkey() as broker,
        ChromaServer(new_directory(tmp_path / "chroma")) as chroma,
        EmbeddingApi() as embeddings,
    ):
        engines = engines_in(tmp_path, database_url, broker.url)
        search = {"CHAT_SEARCH_ENABLED": "true", **embeddings.settings}
        astray = search | {"CHAT_CHROMA_URL": f"http://127.0.0.1:{free_port()}"}
        provider_url = f"{provider.base_url}/v1"
        with new_server(engines, tmp_path / "one", provider_url, **astray) as one, one.admin() as first:
            first.new_thread(title="dog")
            poll(
                lambda: "detail" in first.get("/health/ready").json(), "it gives no vectors", PATIENCE_SECONDS
            )
            right = search | {"CHAT_CHROMA_URL": chroma.url}
            with (
                new_server(engines, tmp_path / "two", provider_url, **right) as two,
                two.client().sign_in("admin", PASSWORD) as second,
            ):
                poll(lambda: titles(second, "hound", "SEMANTIC") == ["dog"], "it is found", PATIENCE_SECONDS)


def test_another_process_goes_on_when_the_one_at_work_is_killed(fleet: Fleet) -> None:
    before, after = unique("before"), unique("after")
    with fleet.one.admin() as first, fleet.two.client().sign_in("admin", PASSWORD) as second:
        first.new_thread(title=before)
        wait_until_found(second, before)
        fleet.one.kill()
        second.new_thread(title=after)
        wait_until_found(second, after)
