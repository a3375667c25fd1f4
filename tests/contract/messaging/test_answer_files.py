"""Files inside an answer: kept by us, shown under our address, and had back by the owner."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients import Client, chunks, payloads
from tests.contract.messaging.files import PNG, TEXT, base64_of, download
from tests.provider.client import ProviderProcess
from tests.provider.script import Json, chunk, completion, sse, text_stream
from tests.servers import ServerProcess

FIELDS = {"id", "filename", "content_type", "size_bytes", "download_url", "created_at", "data_base64"}
ELSEWHERE = "https://files.example/a.png"


def with_files(*files: Any, text: str | None = None, **extra: Any) -> str:
    return chunk(text, message_metadata={"attachments": list(files), "other": 1.50}, **extra)


def a_file(**fields: Any) -> Json:
    return {"filename": "a.png", "content_type": "image/png", **fields}


def kept_of(user: Client, thread_id: str) -> list[dict[str, Any]]:
    """The attachments of the answer, which has to be the newest message."""
    answer = user.messages(thread_id)[0]
    assert (answer["sender_type"], answer["status"]) == ("assistant", "ready")
    attachments: list[dict[str, Any]] = answer["attachments"]
    return attachments


def shown_in(body: str) -> list[Any]:
    """The lists of files in the frames of a stream."""
    shown = [frame.get("message_metadata", {}).get("attachments") for frame in chunks(body)]
    return [files for files in shown if files is not None]


# --- with content ------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["data", "data_base64"])
def test_a_file_with_content_is_kept_and_shown_under_our_address(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, key: str
) -> None:
    file = a_file(**{key: base64_of(PNG)}, bytes=7, storage_filename="x.png", download_url=ELSEWHERE)
    sent = with_files(file, text="Here", agent_status="streaming")
    provider.script(model, sse(sent, chunk(finish_reason="stop")))
    body = user.stream_text(thread_id, model=model)

    (kept,) = kept_of(user, thread_id)
    assert kept.keys() == FIELDS
    assert (kept["filename"], kept["content_type"]) == ("a.png", "image/png")
    assert (kept["size_bytes"], kept["data_base64"]) == (len(PNG), None)
    assert kept["download_url"].startswith("/api/attachments/")
    expected = json.loads(sent)
    expected["message_metadata"]["attachments"][0]["download_url"] = kept["download_url"]
    assert chunks(body)[2] == expected
    response = download(user, kept)
    assert response.content == PNG
    assert response.headers["content-type"] == "image/png"


def test_a_file_can_be_had_while_the_answer_goes_on_in_one_piece_too(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, sse(with_files(a_file(data=base64_of(PNG))), chunk("Here")))

    assert user.send_message(thread_id, model=model).status_code == 201
    assert download(user, kept_of(user, thread_id)[0]).content == PNG


def test_a_file_in_one_json_completion_is_kept(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    files = {"attachments": [a_file(data=base64_of(PNG))]}
    provider.script(model, completion("Here", message_metadata=files))
    body = user.stream_text(thread_id, model=model)

    (kept,) = kept_of(user, thread_id)
    assert shown_in(body)[0][0]["download_url"] == kept["download_url"]
    assert download(user, kept).content == PNG


def test_a_list_that_every_chunk_repeats_is_kept_once(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    one, two = a_file(data=base64_of(PNG)), a_file(filename="b.txt", data=base64_of(TEXT))
    provider.script(model, sse(with_files(one), with_files(one, two), with_files(one, two)))
    body = user.stream_text(thread_id, model=model)

    kept = kept_of(user, thread_id)
    assert [download(user, file).content for file in kept] == [PNG, TEXT]
    urls = [file["download_url"] for file in kept]
    assert [[file["download_url"] for file in files] for files in shown_in(body)] == [urls[:1], urls, urls]


def test_files_of_one_name_and_other_bytes_are_two(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    sent = [a_file(data=base64_of(content)) for content in (PNG, TEXT)]
    provider.script(model, sse(with_files(*sent)))
    user.send_message(thread_id, model=model)

    assert [download(user, file).content for file in kept_of(user, thread_id)] == [PNG, TEXT]


@pytest.mark.parametrize("name", ["../../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "a/../../evil.txt"])
def test_no_name_of_the_providers_is_a_path_of_ours(
    user: Client, server: ServerProcess, provider: ProviderProcess, thread_id: str, *, model: str, name: str
) -> None:
    file = a_file(filename=name, storage_filename=name, data=base64_of(b"evil"))
    provider.script(model, sse(with_files(file)))
    user.send_message(thread_id, model=model)

    (kept,) = kept_of(user, thread_id)
    assert "evil" not in kept["download_url"]
    assert download(user, kept).content == b"evil"
    storage = server.directory / "storage"
    assert {path.name for path in storage.rglob("*") if path.is_file()} >= {
        kept["download_url"].rpartition("/")[2]
    }
    assert not list(server.directory.parent.rglob("*evil*"))


def test_an_active_file_of_the_providers_is_a_download_too(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    page = b"<script>alert(1)</script>"
    file = a_file(filename="a.html", content_type="text/html", data=base64_of(page))
    provider.script(model, sse(with_files(file)))
    user.send_message(thread_id, model=model)

    response = download(user, kept_of(user, thread_id)[0])
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_file_of_an_answer_is_its_owners_only(
    user: Client, new_user: Callable[..., Client], provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, sse(with_files(a_file(data=base64_of(PNG)))))
    user.send_message(thread_id, model=model)

    url = kept_of(user, thread_id)[0]["download_url"]
    assert new_user().get(url).status_code == 404


# --- without content ---------------------------------------------------------------------


def test_a_file_without_content_is_listed_with_its_size_and_address(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    sent = with_files(a_file(bytes=1234, download_url=ELSEWHERE, storage_filename="x.png"))
    provider.script(model, sse(sent))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2] == sent
    (kept,) = kept_of(user, thread_id)
    assert (kept["filename"], kept["size_bytes"], kept["download_url"]) == ("a.png", 1234, ELSEWHERE)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example/a", "file:///a", 7]
)
def test_an_address_that_no_browser_should_follow_is_not_handed_on(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, url: Any
) -> None:
    provider.script(model, sse(with_files(a_file(bytes=1, download_url=url))))
    user.send_message(thread_id, model=model)

    assert kept_of(user, thread_id)[0]["download_url"] is None


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({}, ("attachment", "application/octet-stream", None)),
        (a_file(filename=None, content_type=7), ("attachment", "application/octet-stream", None)),
        (a_file(filename="x" * 300), ("x" * 255, "image/png", None)),
        (a_file(bytes=-1), ("a.png", "image/png", None)),
        (a_file(bytes="1234"), ("a.png", "image/png", None)),
        (a_file(bytes=True), ("a.png", "image/png", None)),
        (a_file(bytes=10**30), ("a.png", "image/png", None)),
        (a_file(bytes=5 * 2**30), ("a.png", "image/png", 5 * 2**30)),
        (a_file(data="%%%", bytes=3), ("a.png", "image/png", 3)),
        (a_file(data=["YQ=="]), ("a.png", "image/png", None)),
        (a_file(filename="a\x00b"), ("a\N{REPLACEMENT CHARACTER}b", "image/png", None)),
    ],
)
def test_a_file_that_is_described_badly_is_listed_as_well_as_may_be(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, *, file: Json, expected: Any
) -> None:
    sent = with_files(file, text="Here")
    provider.script(model, sse(sent))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2] == sent
    (kept,) = kept_of(user, thread_id)
    assert (kept["filename"], kept["content_type"], kept["size_bytes"]) == expected
    assert kept["download_url"] is None


@pytest.mark.parametrize("files", [None, "a.png", 7, {}, [None, 7, "a.png", []], {"filename": "a"}])
def test_a_list_of_files_that_is_none_spoils_nothing(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, files: Any
) -> None:
    sent = chunk("Here", message_metadata={"attachments": files})
    provider.script(model, sse(sent))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2] == sent
    assert kept_of(user, thread_id) == []


def test_the_conversation_goes_on_after_an_answer_with_a_file(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    first = sse(with_files(a_file(data=base64_of(PNG)), text="Here"))
    provider.script(model, first, text_stream("Yes"))
    user.send_message(thread_id, "Draw", model=model)
    user.send_message(thread_id, "Is it done?")

    told = provider.requests(model)[1].json["messages"]
    assert [item["content"] for item in told] == ["Draw", "Here", "Is it done?"]
