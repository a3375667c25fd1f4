"""Files that users send: stored, listed, and passed on to the provider."""

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.clients import Client
from tests.contract.messaging.files import PNG, TEXT, a_file, base64_of, download, send_files
from tests.provider.client import ProviderProcess
from tests.servers import ServerProcess

FIELDS = {"id", "filename", "content_type", "size_bytes", "download_url", "created_at", "data_base64"}


@pytest.fixture(scope="module")
def openai(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Its server sends files the way OpenAI takes them."""
    settings = {"CHAT_LLM_ATTACHMENT_FORMAT": "openai"}
    directory = tmp_path_factory.mktemp("openai")
    with ServerProcess(directory, f"{provider.base_url}/v1", settings) as server, server.admin() as client:
        yield client


# --- stored ------------------------------------------------------------------------------


def test_a_file_is_listed_without_its_bytes(user: Client, thread_id: str) -> None:
    (attachment,) = send_files(user, thread_id, a_file(PNG, "Схема 1.png", "image/png"))

    assert attachment.keys() == FIELDS
    assert str(UUID(attachment["id"])) == attachment["id"]
    assert (attachment["filename"], attachment["content_type"]) == ("Схема 1.png", "image/png")
    assert (attachment["size_bytes"], attachment["data_base64"]) == (len(PNG), None)
    assert attachment["download_url"].startswith("/api/attachments/")
    assert datetime.fromisoformat(attachment["created_at"]).utcoffset() == timedelta(0)
    listed = user.messages(thread_id)[1]
    in_detail = user.get(f"/api/threads/{thread_id}").json()["last_messages"][1]
    assert listed["attachments"] == in_detail["attachments"] == [attachment]


@pytest.mark.parametrize("content", [b"", b"\x00", bytes(range(256)) * 20_000])
def test_files_of_any_size_come_back(user: Client, thread_id: str, content: bytes) -> None:
    (attachment,) = send_files(user, thread_id, a_file(content))

    assert attachment["size_bytes"] == len(content)
    assert download(user, attachment).content == content


def test_several_files_keep_their_order_and_their_own_bytes(user: Client, thread_id: str) -> None:
    contents = [b"one", b"two", b"one"]
    attachments = send_files(user, thread_id, *map(a_file, contents))

    assert [download(user, attachment).content for attachment in attachments] == contents
    assert len({attachment["download_url"] for attachment in attachments}) == 3
    assert user.messages(thread_id)[1]["attachments"] == attachments


def test_what_is_left_out_of_a_file_has_its_default(user: Client, thread_id: str) -> None:
    bare = {"filename": "a", "data_base64": "", "unknown": 1}
    (attachment, other) = send_files(user, thread_id, bare, bare | {"content_type": None})

    assert attachment["content_type"] == other["content_type"] == "application/octet-stream"


def test_base64_may_have_line_breaks(user: Client, thread_id: str) -> None:
    broken = base64.encodebytes(PNG).decode()
    (attachment,) = send_files(user, thread_id, a_file() | {"data_base64": broken})

    assert download(user, attachment).content == PNG


# --- refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["%", "a", "abc", "YQ=", "YQ==YQ==", "=YQ=", "фыва", "data:a/b;base64,YQ=="])
@pytest.mark.parametrize("route", ["messages", "messages/stream"])
def test_undecodable_base64_stores_nothing(
    user: Client, server: ServerProcess, thread_id: str, *, data: str, route: str
) -> None:
    before = stored_files(server)
    files = [a_file(), a_file() | {"data_base64": data}]
    body = {"text": "See", "model": "m", "attachments": files}
    response = user.post(f"/api/threads/{thread_id}/{route}", json=body)

    assert (response.status_code, response.json()) == (400, {"detail": "Invalid attachment encoding"})
    assert user.messages(thread_id) == []
    assert stored_files(server) == before


def stored_files(server: ServerProcess) -> set[str]:
    return {str(path) for path in (server.directory / "storage").rglob("*") if path.is_file()}


def test_a_refused_message_leaves_no_files_behind(
    user: Client, server: ServerProcess, thread_id: str
) -> None:
    before = stored_files(server)

    assert user.send_message(thread_id, "See", attachments=[a_file()]).status_code == 400  # no model
    assert stored_files(server) == before


@pytest.mark.parametrize(
    "attachments",
    [
        [a_file(filename="")],
        [a_file(filename="x" * 256)],
        [{"data_base64": "YQ=="}],
        [{"filename": "a"}],
        [a_file() | {"data_base64": 7}],
        [a_file() | {"filename": ["a"]}],
        ["a"],
        "a",
        {"filename": "a", "data_base64": "YQ=="},
    ],
)
def test_a_file_that_is_none_is_refused(user: Client, thread_id: str, attachments: Any) -> None:
    assert user.send_message(thread_id, model="m", attachments=attachments).status_code == 422
    assert user.messages(thread_id) == []


# --- passed on ---------------------------------------------------------------------------


@pytest.fixture
def sent(thread_id: str, user: Client, provider: ProviderProcess, model: str) -> list[Any]:
    """The contents of the history after a message with an image and a text, and one without files."""
    return history_with_files(user, provider, model, thread_id)


def history_with_files(user: Client, provider: ProviderProcess, model: str, thread_id: str) -> list[Any]:
    files = [a_file(PNG, "a.png", "image/png"), a_file(TEXT, "ж.txt", "text/plain")]
    user.send_message(thread_id, "See", model=model, attachments=files)
    user.send_message(thread_id, "Well?")
    first, second = (request.json["messages"] for request in provider.requests(model))
    assert second[0] == first[0]  # the files go along again, as all of the history does
    return [message["content"] for message in second]


def text_and_parts(content: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    assert content[0].keys() == {"type", "text"}
    return content[0]["text"], content[1:]


def test_files_go_out_as_input_parts_and_text_alone_as_a_string(sent: list[Any]) -> None:
    text, parts = text_and_parts(sent[0])

    assert text == "See"
    assert parts == [
        {
            "type": "input_image",
            "image_base64": base64_of(PNG),
            "media_type": "image/png",
        },
        {
            "type": "input_file",
            "data": base64_of(TEXT),
            "media_type": "text/plain",
            "filename": "ж.txt",
        },
    ]
    assert [type(content) for content in sent[1:]] == [str, str]


def test_files_go_out_as_openai_takes_them(openai: Client, provider: ProviderProcess, model: str) -> None:
    contents = history_with_files(openai, provider, model, openai.new_thread()["id"])
    text, parts = text_and_parts(contents[0])

    def url(media_type: str, content: bytes) -> str:
        return f"data:{media_type};base64,{base64_of(content)}"

    assert text == "See"
    assert parts == [
        {"type": "image_url", "image_url": {"url": url("image/png", PNG)}},
        {"type": "file", "file": {"filename": "ж.txt", "file_data": url("text/plain", TEXT)}},
    ]
    assert contents[2] == "Well?"
