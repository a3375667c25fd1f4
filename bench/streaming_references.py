"""What `bench.streaming` compares with: servers that only pass an answer on, and store nothing.

python -m bench.streaming_references usual|bare PORT PROVIDER_URL
"""

import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

_HEADERS: Final = {"Content-Type": "application/json"}


def usual(provider: str) -> Starlette:
    """The way that is found in most tutorials: a `StreamingResponse` over the lines of httpx."""
    client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None))

    async def lines(body: bytes) -> AsyncIterator[str]:
        async with client.stream("POST", provider, content=body, headers=_HEADERS) as response:
            async for line in response.aiter_lines():
                if line:
                    yield f"{line}\n\n"

    async def chat(request: Request) -> StreamingResponse:
        return StreamingResponse(lines(await request.body()), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


class Bare:
    """The least that Python can do: raw ASGI over aiohttp, bytes as they come."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one answer on."""
        if scope["type"] != "http":
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        async with self._session.post(self._provider, data=body, headers=_HEADERS) as response:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for piece in response.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve until the process is killed."""
    kind, port, provider = sys.argv[1:]
    url = f"{provider}/chat/completions"
    uvicorn.run(
        usual(url) if kind == "usual" else Bare(url),
        port=int(port),
        log_level="warning",
        lifespan="off",
        backlog=2048,
    )


if __name__ == "__main__":
    main()
