"""Attachment bytes in an S3-compatible store: as in a directory, from whichever process."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import Client
from tests.provider.client import ProviderProcess
from tests.s3 import S3Process, s3
from tests.servers import ServerProcess

CONTENT = os.urandom(700_000)


@pytest.fixture
def bucket() -> Iterator[S3Process]:
    with s3() as server:
        yield server


@pytest.fixture
def server(bucket: S3Process, provider: ProviderProcess, tmp_path: Path) -> Iterator[ServerProcess]:
    settings = {**bucket.settings, "CHAT_SEARCH_ENABLED": "false"}
    with ServerProcess(tmp_path, f"{provider.base_url}/v1", settings) as server:
        yield server


def send(client: Client, thread_id: str, model: str) -> int:
    file = {"filename": "noise.bin", "data_base64": base64.b64encode(CONTENT).decode()}
    body = {"text": "See", "model": model, "attachments": [file]}
    return client.post(f"/api/threads/{thread_id}/messages", json=body).status_code


def test_bytes_go_to_the_bucket_and_come_back_and_to_the_provider(
    server: ServerProcess, bucket: S3Process, provider: ProviderProcess, model: str, tmp_path: Path
) -> None:
    with server.admin() as client:
        thread_id = client.new_thread()["id"]
        assert send(client, thread_id, model) == 201
        (attachment,) = client.messages(thread_id)[-1]["attachments"]
        download = client.get(attachment["download_url"])

    assert download.content == CONTENT
    (name,) = bucket.names()
    assert name.startswith("chat/")
    assert base64.b64encode(CONTENT).decode() in str(provider.requests(model)[0].json)
    assert not (tmp_path / "storage").exists()


def test_a_store_that_is_away_is_503_and_nothing_is_sent_without_its_file(
    server: ServerProcess, bucket: S3Process, model: str
) -> None:
    with server.admin() as client:
        thread_id = client.new_thread()["id"]
        assert send(client, thread_id, model) == 201
        (attachment,) = client.messages(thread_id)[-1]["attachments"]
        bucket.kill()
        assert send(client, thread_id, model) == 503
        assert client.get(attachment["download_url"]).status_code == 503
        assert len(client.messages(thread_id)) == 2
        assert server.wait_for_log(event="file storage failed", what="save")
        bucket.start()  # empty: what it held is missing, and is told so
        assert client.get(attachment["download_url"]).status_code == 404
        assert send(client, thread_id, model) == 201
