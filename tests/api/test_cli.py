"""The command line, as an operator types it."""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from api.cli import schema_files
from tests.valkey import valkey

ROOT = Path(__file__).parents[2]


def gwp_chat(*arguments: str, directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=directory,
        env={**environment, **settings, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_serving_others_with_the_known_secret_is_refused(tmp_path: Path) -> None:
    result = gwp_chat("serve", "--host", "0.0.0.0", directory=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("gwp-chat: CHAT_JWT_SECRET_KEY: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "app.db").exists()


@pytest.mark.parametrize("arguments", [("serve",), ("migrate",)])
def test_a_wrong_setting_stops_the_start_with_one_sentence(tmp_path: Path, arguments: tuple[str]) -> None:
    result = gwp_chat(*arguments, directory=tmp_path, CHAT_LLM_API_PORT="none")
    assert result.returncode == 2
    assert result.stderr.startswith("gwp-chat: CHAT_LLM_API_PORT: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    ["sqlite:///junk.db", "sqlite:///junk.db/app.db", "postgresql://x@127.0.0.1:1/x", "postgresql://h:zz/x"],
)
def test_a_database_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, url: str) -> None:
    (tmp_path / "junk.db").write_text("this is no database, and long enough to be taken for one" * 100)
    result = gwp_chat("serve", "--port", "0", directory=tmp_path, CHAT_DATABASE_URL=url)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("gwp-chat: CHAT_DATABASE_URL: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("url", ["redis://127.0.0.1:port/0", "redis://127.0.0.1:1/0"])
def test_a_broker_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, url: str) -> None:
    result = gwp_chat("serve", "--port", "0", directory=tmp_path, CHAT_REDIS_URL=url)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("gwp-chat: CHAT_REDIS_URL: ")
    assert "Traceback" not in result.stderr


def test_a_broker_that_wants_a_password_is_told(tmp_path: Path) -> None:
    with valkey() as broker:
        with broker.client() as client:
            client.config_set("requirepass", "secret")
        for password in ("", ":wrong@"):
            url = broker.url.replace("//", f"//{password}")
            result = gwp_chat("serve", "--port", "0", directory=tmp_path, CHAT_REDIS_URL=url)
            assert result.returncode == 2
            assert result.stderr.splitlines()[-1].endswith(
                "it wants a password: redis://:password@host:6379/0"
            )


def test_several_workers_are_refused_with_all_that_they_lack(tmp_path: Path) -> None:
    result = gwp_chat("serve", "--workers", "2", directory=tmp_path)
    assert result.returncode == 2
    for name in ("DATABASE_URL", "REDIS_URL", "CHROMA_URL", "JWT_SECRET_KEY"):
        assert f"CHAT_{name}: " in result.stderr
    assert "set it to false" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [(("serve",), {"CHAT_SEARCH_INDEXING": "false"}), (("worker",), {})],
)
def test_indexing_by_a_process_of_its_own_is_refused_where_there_can_be_none(
    tmp_path: Path, arguments: tuple[str], settings: dict[str, str]
) -> None:
    result = gwp_chat(*arguments, directory=tmp_path, **settings)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    for name in ("DATABASE_URL", "REDIS_URL", "CHROMA_URL"):
        assert f"CHAT_{name}: " in result.stderr
    assert "set it to false" not in result.stderr


def test_a_taken_port_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = gwp_chat("serve", "--port", str(taken.getsockname()[1]), directory=tmp_path)
    assert result.returncode == 2
    assert "cannot listen" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_is_missing_is_told_or_printed_and_nothing_is_changed(tmp_path: Path) -> None:
    check = gwp_chat("migrate", "--check", directory=tmp_path)
    assert (check.returncode, "revision none" in check.stdout) == (1, True)
    printed = gwp_chat("migrate", "--sql", directory=tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert gwp_chat("migrate", "--check", directory=tmp_path).returncode == 1

    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.executescript(printed.stdout)
    assert gwp_chat("migrate", "--check", directory=tmp_path).returncode == 0
    assert gwp_chat("migrate", "--sql", directory=tmp_path).stdout == ""


def test_migrate_brings_an_empty_database_up_to_date_and_again_is_fine(tmp_path: Path) -> None:
    first = gwp_chat("migrate", directory=tmp_path)
    second = gwp_chat("migrate", directory=tmp_path)
    assert first.stdout == second.stdout != ""
    assert (tmp_path / "app.db").exists()


@pytest.mark.parametrize("name", ["schema.graphql", "openapi.json", "docs/settings.md"])
def test_the_exported_schemas_are_fresh(name: str) -> None:
    """`make schema` writes them anew."""
    assert (ROOT / name).read_text(encoding="utf-8") == schema_files()[name]


def test_reindexing_into_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "chroma")
    result = gwp_chat("reindex", directory=tmp_path, CHAT_CHROMA_PERSIST_DIRECTORY=place)
    assert result.returncode == 2
    assert "CHAT_CHROMA_PERSIST_DIRECTORY" in result.stderr
