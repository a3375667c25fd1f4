"""The index catches up with whatever it missed: stops, kills, outages, lost directories, other models."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.clients import Client
from tests.provider.client import ProviderProcess
from tests.runs.following import poll
from tests.search.embeddings import EmbeddingApi
from tests.search.searching import PATIENCE_SECONDS, add_thread, status, titles, wait_until_indexed
from tests.servers import ServerProcess

OTHER_MODEL = {"CHAT_EMBEDDING_MODEL_NAME": "other words"}


@pytest.fixture
def embeddings() -> Iterator[EmbeddingApi]:
    with EmbeddingApi() as api:
        yield api


@pytest.fixture
def server(embeddings: EmbeddingApi, provider: ProviderProcess, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, which may be stopped and started."""
    with ServerProcess(tmp_path, f"{provider.base_url}/v1", embeddings.settings) as process:
        yield process


@pytest.fixture
def user(server: ServerProcess) -> Iterator[Client]:
    """Its administrator."""
    with server.admin() as client:
        yield client


def again(server: ServerProcess) -> Client:
    """The same account of a server that was started again."""
    server.start()
    return server.admin()


def test_a_restart_embeds_nothing_twice(
    server: ServerProcess, user: Client, embeddings: EmbeddingApi
) -> None:
    add_thread(user, "pets", "my hound sleeps")
    wait_until_indexed(user)
    server.stop()
    embeddings.texts.clear()
    with again(server) as client:
        add_thread(client, "travel", "an inn")
        wait_until_indexed(client)
        assert titles(client, "dog", "SEMANTIC") == ["pets"]
        assert titles(client, "hotel", "SEMANTIC") == ["travel"]
    assert not [text for text in embeddings.texts if "hound" in text]


def test_what_a_kill_left_undone_is_done(
    server: ServerProcess, user: Client, embeddings: EmbeddingApi
) -> None:
    embeddings.is_down = True
    add_thread(user, "pets", "my hound sleeps")
    poll(lambda: titles(user, "hound", "TEXT") == ["pets"], "words are indexed", PATIENCE_SECONDS)
    server.kill()
    embeddings.is_down = False
    with again(server) as client:
        wait_until_indexed(client)
        assert titles(client, "dog", "SEMANTIC") == ["pets"]


def test_readiness_tells_of_a_model_that_is_away(user: Client, embeddings: EmbeddingApi) -> None:
    wait_until_indexed(user)
    poll(lambda: user.get("/health/ready").json() == {"status": "ok"}, "ready", PATIENCE_SECONDS)
    embeddings.is_down = True
    add_thread(user, "pets", "my hound sleeps")
    poll(lambda: not status(user)["healthy"], "told", PATIENCE_SECONDS)
    ready = user.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    assert ready.json()["detail"]


@pytest.mark.parametrize("broken", ["INSERT", "UPDATE OF embedded_in"], ids=["texts", "vectors"])
def test_an_internal_fault_is_told_logged_and_got_over(
    server: ServerProcess, user: Client, broken: str
) -> None:
    wait_until_indexed(user)
    execute(
        server,
        f"CREATE TRIGGER broken BEFORE {broken} ON search_entries BEGIN SELECT raise(abort, 'broken'); END",
    )
    add_thread(user, "pets", "my hound sleeps")
    poll(lambda: not status(user)["healthy"], "told", PATIENCE_SECONDS)
    ready = user.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "internal error" in ready.json()["detail"]
    logged = server.wait_for_log(event="internal error in the search index")
    assert "Traceback" in logged["exception"]
    assert "IntegrityError" in logged["exception"]
    execute(server, "DROP TRIGGER broken")
    wait_until_indexed(user)
    assert titles(user, "dog", "SEMANTIC") == ["pets"]
    poll(lambda: user.get("/health/ready").json() == {"status": "ok"}, "ready", PATIENCE_SECONDS)
    assert status(user)["healthy"]


def execute(server: ServerProcess, statement: str) -> None:
    """Change the database past the server."""
    with closing(sqlite3.connect(server.directory / "app.db", timeout=10)) as database, database:
        database.execute(statement)


def test_rows_that_were_written_past_the_server_are_noticed(server: ServerProcess, user: Client) -> None:
    thread_id = add_thread(user, "pets", "my hound sleeps")
    wait_until_indexed(user)
    execute(server, "UPDATE messages SET text = 'an inn by the sea', entry_id = NULL")
    assert [message["text"] for message in user.messages(thread_id)] == ["an inn by the sea"] * 2
    poll(lambda: titles(user, "hotel", "SEMANTIC") == ["pets"], "noticed", PATIENCE_SECONDS)


def test_lost_vectors_are_made_anew(server: ServerProcess, user: Client) -> None:
    add_thread(user, "pets", "my hound sleeps")
    wait_until_indexed(user)
    server.stop()
    shutil.rmtree(server.directory / ".chroma")
    with again(server) as client:
        found = lambda: titles(client, "dog") == ["pets"]  # noqa: E731 - the first search finds out
        poll(found, "found again", PATIENCE_SECONDS)
        wait_until_indexed(client)
        assert titles(client, "dog", "SEMANTIC") == ["pets"]


def index_pets(provider: ProviderProcess, embeddings: EmbeddingApi, directory: Path) -> None:
    """Leave one thread there, indexed for the model that is set."""
    url = f"{provider.base_url}/v1"
    with ServerProcess(directory, url, embeddings.settings) as server, server.admin() as client:
        add_thread(client, "pets", "my hound sleeps")
        wait_until_indexed(client)


def test_another_model_takes_over_when_it_has_everything(
    provider: ProviderProcess, embeddings: EmbeddingApi, tmp_path: Path
) -> None:
    index_pets(provider, embeddings, tmp_path)
    settings = embeddings.settings | OTHER_MODEL
    with ServerProcess(tmp_path, f"{provider.base_url}/v1", settings) as server, server.admin() as client:
        assert status(client)["model"] == "other words"
        poll(lambda: collections(tmp_path) == ["other words"], "taken over", PATIENCE_SECONDS)
        assert titles(client, "dog", "SEMANTIC") == ["pets"]


def test_vectors_that_are_lost_while_others_take_their_place_are_given_up(
    provider: ProviderProcess, embeddings: EmbeddingApi, tmp_path: Path
) -> None:
    index_pets(provider, embeddings, tmp_path)
    shutil.rmtree(tmp_path / ".chroma")
    embeddings.busy_with = "hound"  # so that the others are never complete
    with ServerProcess(tmp_path, f"{provider.base_url}/v1", embeddings.settings | OTHER_MODEL):
        poll(lambda: collections(tmp_path) == ["other words"], "given up", PATIENCE_SECONDS)


def collections(directory: Path) -> list[str]:
    """The models of the collections that there are."""
    with closing(sqlite3.connect(directory / "app.db", timeout=10)) as database:
        rows = database.execute("SELECT model FROM search_collections WHERE is_live").fetchall()
    return [model for (model,) in rows]


def test_a_second_server_is_refused_the_directory_of_vectors(
    server: ServerProcess, provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    settings = {"CHAT_CHROMA_PERSIST_DIRECTORY": str(server.directory / ".chroma")}
    refused = ServerProcess(other, f"{provider.base_url}/v1", settings)
    with pytest.raises(AssertionError, match="CHAT_CHROMA_PERSIST_DIRECTORY"):
        refused.start()
    assert refused.wait() == 2


def reindex(server: ServerProcess, embeddings: EmbeddingApi, *arguments: str) -> str:
    """What `gwp-chat reindex` prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
    settings = {"CHAT_DATABASE_URL": f"sqlite:///{server.directory / 'app.db'}", **embeddings.settings}
    done = subprocess.run(
        [sys.executable, "-m", "api", "reindex", *arguments],
        cwd=server.directory,
        env={**environment, **settings, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(directory: Path) -> list[str]:
    """The collections that there are."""
    with closing(sqlite3.connect(directory / "app.db", timeout=10)) as database:
        return [name for (name,) in database.execute("SELECT name FROM search_collections")]


@pytest.mark.parametrize("is_running", [True, False], ids=["beside a server", "alone"])
def test_reindexing_replaces_the_collection(
    server: ServerProcess, user: Client, embeddings: EmbeddingApi, *, is_running: bool
) -> None:
    add_thread(user, "pets", "my hound sleeps")
    wait_until_indexed(user)
    before = names(server.directory)
    embeddings.texts.clear()
    if not is_running:
        server.stop()
    assert "All texts are indexed for the model words." in reindex(server, embeddings)
    assert len([text for text in embeddings.texts if "hound" in text]) == 2  # question and answer
    (after,) = names(server.directory)
    assert [after] != before
    if not is_running:
        server.start()
    with server.admin() as client:
        assert titles(client, "dog", "SEMANTIC") == ["pets"]


def test_reindexing_can_be_confined_to_what_is_new(
    server: ServerProcess, user: Client, embeddings: EmbeddingApi
) -> None:
    add_thread(user, "pets", "my hound sleeps")
    wait_until_indexed(user)
    before = names(server.directory)
    for since, count in (("2100-01-01", 0), ("2000-01-01T12:00:00", 2)):
        embeddings.texts.clear()
        reindex(server, embeddings, "--since", since)
        assert len([text for text in embeddings.texts if "hound" in text]) == count
    assert names(server.directory) == before
    assert titles(user, "dog", "SEMANTIC") == ["pets"]
