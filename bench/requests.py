"""One request to an ASGI application in this process, without a socket."""

import json
from typing import Any

from starlette.types import ASGIApp, Message


async def post(app: ASGIApp, path: str, body: Any, authorization: str = "Bearer unused") -> bytes:
    """The body of the answer to a POST of JSON, which must be 200."""
    content = json.dumps(body).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"bench"),
            (b"accept", b"application/json"),
            (b"authorization", authorization.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("bench", 80),
    }
    pieces: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:  # noqa: PLR2004
            raise SystemExit(f"{path} answered {message['status']}")
        pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(pieces)
