"""Disks and files that fail under a running server."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.servers import ServerProcess

TRIGGER = "CREATE TRIGGER broken BEFORE INSERT ON messages BEGIN SELECT raise(abort, 'broken'); END"


@pytest.fixture
def own(provider: ProviderProcess, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, f"{provider.base_url}/v1") as server:
        yield server


def test_storage_that_is_gone_refuses_files_and_takes_them_again(own: ServerProcess) -> None:
    storage = own.directory / "storage"
    storage.write_text("in the way")
    file = {"filename": "a.txt", "data_base64": base64.b64encode(b"abc").decode()}
    with own.admin() as client:
        thread_id = client.new_thread()["id"]
        refused = client.send_message(thread_id, "Hi", model="echo", attachments=[file])
        assert (refused.status_code, refused.json()) == (
            503,
            {"detail": "The file storage is not available; try again"},
        )
        assert client.messages(thread_id) == []
        assert client.send_message(thread_id, "Hi", model="echo").status_code == 201
        storage.unlink()
        assert client.send_message(thread_id, "Hi", model="echo", attachments=[file]).status_code == 201


def test_an_internal_error_is_one_answer_with_an_id_and_no_inner_word(own: ServerProcess) -> None:
    words = unique("private")
    with own.admin() as client:
        thread_id = client.new_thread()["id"]
        with closing(sqlite3.connect(own.directory / "app.db")) as database:
            database.execute(TRIGGER)
            database.commit()
        failed = client.send_message(thread_id, words, model="echo")
        assert (failed.status_code, failed.json()) == (500, {"detail": "Internal Server Error"})
        assert own.wait_for_log(request_id=failed.headers["x-request-id"], event="request")["status"] == 500
        # The same connection goes on.
        assert client.get("/api/threads").status_code == 200
        with closing(sqlite3.connect(own.directory / "app.db")) as database:
            database.execute("DROP TRIGGER broken")
            database.commit()
        assert client.send_message(thread_id, words, model="echo").status_code == 201
    assert words not in own.log_file.read_text(encoding="utf-8")


def test_another_path_to_the_same_file_does_not_let_a_second_server_in(
    own: ServerProcess, provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "app.db").symlink_to(own.directory / "app.db")
    second = ServerProcess(elsewhere, f"{provider.base_url}/v1")
    with pytest.raises(AssertionError, match="another gwp-chat server is working on"):
        second.start()
    assert second.wait() == 2
