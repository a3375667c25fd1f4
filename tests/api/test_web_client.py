"""Who gets the web client, at which addresses, and with which headers."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from api.web_client import ADDRESSES, client_routes
from tests.api.pages import BROWSER, SCRIPT, build, client_of

ROUTER = Path(__file__).parents[2] / "web" / "client" / "src" / "router.ts"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What `make client` makes, in small."""
    return build(tmp_path, "The client")


@pytest.fixture
async def client(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with the web client before an API."""

    async def api(_request: Request) -> JSONResponse:
        return JSONResponse({"api": "here"})

    async with client_of([*client_routes(built), Route("/{path:path}", api)]) as client:
        yield client


@pytest.mark.parametrize("address", ["/", "/t/some-id", "/sign-in"])
async def test_a_browser_gets_the_page_at_each_of_its_addresses(
    client: httpx.AsyncClient, address: str
) -> None:
    response = await client.get(address, headers={"Accept": BROWSER})
    assert response.text == "<title>The client</title>"
    assert response.headers["cache-control"] == "no-cache"


def test_the_addresses_are_those_that_the_page_knows() -> None:
    known = re.findall(r"path: '(/[^']*)', name", ROUTER.read_text(encoding="utf-8"))
    assert [re.sub(r":\w+(\(.*?\))?", "{id}", path) for path in known] == [
        re.sub(r"{\w+}", "{id}", address) for address in ADDRESSES
    ]


@pytest.mark.parametrize("address", ["/api/threads", "/t", "/other", "/client/x"])
async def test_other_addresses_are_not_taken(client: httpx.AsyncClient, address: str) -> None:
    assert (await client.get(address, headers={"Accept": BROWSER})).json() == {"api": "here"}


async def test_programs_are_not_given_pages(client: httpx.AsyncClient) -> None:
    assert (await client.get("/", headers={"Accept": "*/*"})).json() == {"api": "here"}


async def test_the_page_may_run_nothing_inline_and_stand_in_no_frame(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/", headers={"Accept": BROWSER})).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"


async def test_files_are_kept_for_ever_and_come_compressed(client: httpx.AsyncClient) -> None:
    response = await client.get("/client/assets/index-a1b2c3.js", headers={"Accept-Encoding": "gzip"})
    assert response.text == SCRIPT
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["content-encoding"] == "gzip"
    assert (await client.get("/client/assets/gone.js")).status_code == 404


async def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    async with client_of(client_routes(tmp_path)) as client:
        assert "make client" in (await client.get("/", headers={"Accept": BROWSER})).text
