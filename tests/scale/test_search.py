"""Several processes search one index, and one of them at a time gives texts their vectors."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from core.search.index import VECTORS_LOCK
from core.search.reindex import NOBODY_WORKS
from tests.clients import Client
from tests.conftest import unique
from tests.engines import engines
from tests.graphql.clients import graphql
from tests.processes import end_with_parent, free_port
from tests.provider.client import ProviderProcess
from tests.runs.following import poll
from tests.scale.conftest import Engines, engines_in, new_server
from tests.search.embeddings import EmbeddingApi
from tests.search.searching import PATIENCE_SECONDS, SEARCH, status, titles
from tests.servers import PASSWORD, STOP_SECONDS, ServerProcess


@dataclass(frozen=True, slots=True)
class Fleet:
    """Two servers, the first of which gives vectors, and the model that both ask."""

    one: ServerProcess
    two: ServerProcess
    embeddings: EmbeddingApi


@contextmanager
def search_engines(directory: Path) -> Iterator[tuple[Engines, EmbeddingApi]]:
    """Engines of a search by meaning that processes share, and the model that it asks."""
    with engines() as urls, EmbeddingApi() as embeddings:
        shared = engines_in(directory, urls["CHAT_DATABASE_URL"], urls["CHAT_REDIS_URL"])
        shared.settings.update(urls | embeddings.settings, CHAT_SEARCH_ENABLED="true")
        # So that a text which is asked for is not taken for one that is stored.
        shared.settings["CHAT_EMBEDDING_QUERY_PREFIX"] = "query: "
        yield shared, embeddings


@pytest.fixture
def fleet(tmp_path: Path, provider: ProviderProcess) -> Iterator[Fleet]:
    provider_url = f"{provider.base_url}/v1"
    with (
        search_engines(tmp_path) as (shared, embeddings),
        new_server(shared, tmp_path / "one", provider_url) as one,
    ):
        poll(lambda: somebody_gives_vectors(one.database_url), "the first one is at work", PATIENCE_SECONDS)
        with new_server(shared, tmp_path / "two", provider_url) as two:
            yield Fleet(one, two, embeddings)


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


@contextmanager
def worker(server: ServerProcess) -> Iterator[None]:
    """`gwp-chat worker` with the settings of this server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "worker"],
        cwd=server.directory,
        env=server.environment,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
    )
    try:
        yield
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def test_a_worker_indexes_for_servers_that_do_not(tmp_path: Path, provider: ProviderProcess) -> None:
    words = [unique("word") for _ in range(2)]
    with search_engines(tmp_path) as (shared, embeddings):
        settings = {"CHAT_SEARCH_INDEXING": "false"}
        with (
            new_server(shared, tmp_path / "one", f"{provider.base_url}/v1", **settings) as server,
            server.admin() as client,
        ):
            for word in words:
                client.new_thread(title=word)
                assert status(client)["pending"] == 1
                with worker(server):
                    poll(lambda: not status(client)["pending"], "nothing waits", PATIENCE_SECONDS)
                    assert word in titles(client, word, "SEMANTIC")
                poll(lambda: not somebody_gives_vectors(server.database_url), "nobody does it any more")
            assert client.get("/health/ready").json() == {"status": "ok"}
    assert Counter(text for text in embeddings.texts if text in words) == Counter(words)


@contextmanager
def idle_server(directory: Path, provider: ProviderProcess) -> Iterator[tuple[Engines, ServerProcess]]:
    """A server that leaves the index to workers."""
    settings = {"CHAT_SEARCH_INDEXING": "false"}
    with (
        search_engines(directory) as (shared, _),
        new_server(shared, directory / "one", f"{provider.base_url}/v1", **settings) as server,
    ):
        yield shared, server


def lose_vectors(engines: Engines) -> None:
    """Delete what Chroma keeps, past every process."""
    with psycopg.connect(engines.settings["CHAT_DATABASE_URL"]) as connection:
        names = connection.execute("SELECT name FROM search_collections").fetchall()
    for (name,) in names:
        path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{name}"
        httpx.delete(engines.settings["CHAT_CHROMA_URL"] + path).raise_for_status()


def test_a_server_that_does_not_index_leaves_lost_vectors_to_a_worker(
    tmp_path: Path, provider: ProviderProcess
) -> None:
    with idle_server(tmp_path, provider) as (shared, server), server.admin() as client:
        client.new_thread(title="dog")
        with worker(server):
            poll(lambda: not status(client)["pending"], "nothing waits", PATIENCE_SECONDS)
        lose_vectors(shared)
        answer = graphql(client, SEARCH, q="hound", mode="SEMANTIC")
        assert answer["errors"][0]["extensions"]["code"] == "VECTOR_STORE_UNAVAILABLE"
        with worker(server):
            poll(lambda: titles(client, "hound") == ["dog"], "it is found again", PATIENCE_SECONDS)


def test_reindexing_says_that_nobody_indexes_and_ends_once_a_worker_does(
    tmp_path: Path, provider: ProviderProcess
) -> None:
    with idle_server(tmp_path, provider) as (_, server), server.admin() as client:
        client.new_thread(title="dog")
        with subprocess.Popen(
            [sys.executable, "-m", "api", "reindex"],
            cwd=server.directory,
            env=server.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
        ) as reindexing:
            assert reindexing.stderr is not None
            assert reindexing.stderr.readline() == f"gwp-chat: {NOBODY_WORKS}\n"
            with worker(server):
                assert reindexing.wait(PATIENCE_SECONDS) == 0


def test_another_process_gives_vectors_when_the_first_one_cannot(
    tmp_path: Path, provider: ProviderProcess
) -> None:
    astray = {"CHAT_CHROMA_URL": f"http://127.0.0.1:{free_port()}"}
    provider_url = f"{provider.base_url}/v1"
    with (
        search_engines(tmp_path) as (shared, _),
        new_server(shared, tmp_path / "one", provider_url, **astray) as one,
        one.admin() as first,
    ):
        first.new_thread(title="dog")
        poll(lambda: "detail" in first.get("/health/ready").json(), "it gives no vectors", PATIENCE_SECONDS)
        with (
            new_server(shared, tmp_path / "two", provider_url) as two,
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
