"""Files as a client sends and fetches them."""

import base64
from typing import Any

import httpx

from tests.clients import Client
from tests.conftest import unique

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
TEXT = "Привет\n".encode()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def a_file(
    content: bytes = TEXT, filename: str = "a.txt", content_type: str = "text/plain"
) -> dict[str, Any]:
    """An attachment as it is sent."""
    return {"filename": filename, "content_type": content_type, "data_base64": base64_of(content)}


def send_files(user: Client, thread_id: str, *files: dict[str, Any]) -> list[dict[str, Any]]:
    """The attachments of a new message with these files, as they are listed."""
    response = user.send_message(thread_id, "See", model=unique("model"), attachments=files)
    assert response.status_code == 201, response.text
    attachments: list[dict[str, Any]] = response.json()["attachments"]
    return attachments


def download(user: Client, attachment: dict[str, Any]) -> httpx.Response:
    response = user.get(attachment["download_url"])
    assert response.status_code == 200, response.text
    return response
