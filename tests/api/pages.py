"""Pages that were built, in small, and what browsers ask for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SCRIPT = "export const answer = 42;\n" * 100


def build(directory: Path, title: str) -> Path:
    """What Vite makes: a page of this title, and a script."""
    (directory / "assets").mkdir()
    (directory / "index.html").write_text(f"<title>{title}</title>", encoding="utf-8")
    (directory / "assets" / "index-a1b2c3.js").write_text(SCRIPT, encoding="utf-8")
    return directory


@asynccontextmanager
async def client_of(routes: Sequence[BaseRoute]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with these routes."""
    transport = httpx.ASGITransport(Starlette(routes=list(routes)))
    async with httpx.AsyncClient(transport=transport, base_url="http://chat.example") as client:
        yield client
