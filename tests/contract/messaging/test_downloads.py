"""The bytes of files, had back by their owner only, and as downloads only."""

import http.client
import json
from collections.abc import Callable

import pytest

from tests.clients import Client
from tests.contract.messaging.files import PNG, TEXT, a_file, download, send_files
from tests.servers import ServerProcess


def test_a_file_comes_back_byte_for_byte_as_a_download(user: Client, thread_id: str) -> None:
    (attachment,) = send_files(user, thread_id, a_file(PNG, "a.png", "image/png"))
    response = download(user, attachment)

    assert response.content == PNG
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-length"] == str(len(PNG))


def test_a_file_is_its_owners_only(
    user: Client, server: ServerProcess, new_user: Callable[..., Client], thread_id: str
) -> None:
    (attachment,) = send_files(user, thread_id, a_file())
    stranger, url = new_user(), attachment["download_url"]
    foreign, never = stranger.get(url), stranger.get(f"/api/attachments/{'0' * 32}.txt")

    assert foreign.status_code == never.status_code == 404
    assert foreign.content == never.content
    with server.client() as nobody:
        assert nobody.get(url).status_code == 401


def test_a_file_goes_and_comes_with_its_thread(user: Client, thread_id: str) -> None:
    (attachment,) = send_files(user, thread_id, a_file())
    user.delete(f"/api/threads/{thread_id}")
    assert user.get(attachment["download_url"]).status_code == 404

    user.patch(f"/api/threads/{thread_id}", json={"is_deleted": False})
    assert download(user, attachment).content == TEXT


def test_a_name_with_a_path_in_it_leads_nowhere(user: Client, thread_id: str) -> None:
    (attachment,) = send_files(user, thread_id, a_file())
    name = attachment["download_url"].rpartition("/")[2]
    names = [
        *("../app.db", "..%2Fapp.db", "%2e%2e%2fapp.db", "..%5Capp.db", "%2Fetc%2Fpasswd", "//etc/passwd"),
        *(f"{name[:2]}%2F{name}", f"./{name}/..", f"{name}%00", f"{name}%2F..%2F..%2F..%2Fapp.db"),
        *("..", ".", "", "%00", "app.db", "a" * 3000, f"..%2Fstorage%2F{name[:2]}%2F{name}"),
    ]
    connection = http.client.HTTPConnection(user.base_url.netloc.decode(), timeout=10)
    for each in names:  # sent as they are: a careful client would tidy them up
        connection.request(
            "GET", f"/api/attachments/{each}", headers={"Authorization": user.headers["authorization"]}
        )
        response = connection.getresponse()
        body = response.read()
        assert (each, response.status in (400, 404)) == (each, True)
        assert json.loads(body).keys() == {"detail"}
    connection.close()


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/html", "TEXT/HTML", "text/html; charset=utf-8", "image/svg+xml", "application/xhtml+xml"),
        *("text/xml", "application/xml", "text/javascript", "application/javascript", "text/css"),
        *("multipart/x-mixed-replace", "application/x-shockwave-flash", "text/plain, text/html"),
        *("no type", "", "тип/текст", "text/html\r\nX-Evil: 1", "text/plain\nX-Evil: 1"),
    ],
)
def test_an_active_content_type_is_sent_as_bytes_of_no_type(
    user: Client, thread_id: str, content_type: str
) -> None:
    page = b"<script>alert(1)</script>"
    (attachment,) = send_files(user, thread_id, a_file(page, "a.html", content_type))
    response = download(user, attachment)

    assert attachment["content_type"] == (content_type or "application/octet-stream")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "x-evil" not in response.headers
    assert response.content == page


@pytest.mark.parametrize(
    "filename",
    [
        *("../../etc/passwd", "C:\\a.exe", 'a"; b="c.txt', "a\r\nX-Evil: 1"),
        *("Отчёт 👩‍💻.pdf", "x" * 255, ".", "a\x00b"),
    ],
)
def test_any_file_name_is_kept_and_none_breaks_the_header(
    user: Client, thread_id: str, filename: str
) -> None:
    (attachment,) = send_files(user, thread_id, a_file(filename=filename))
    response = download(user, attachment)

    assert attachment["filename"] == filename.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    assert ".." not in attachment["download_url"]
    assert response.headers["content-disposition"].isascii()
    assert "x-evil" not in response.headers
