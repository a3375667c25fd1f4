"""Who gets the playground at the API's address, and with which headers."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from api.playground import playground_routes
from tests.api.pages import BROWSER, SCRIPT, build, client_of


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What `make playground` makes, in small."""
    return build(tmp_path, "The playground")


@pytest.fixture
async def client(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with the playground before an API."""

    async def api(request: Request) -> JSONResponse:
        return JSONResponse({"api": request.method})

    async with client_of(
        [*playground_routes("/graphql", built), Route("/graphql", api, methods=["GET", "POST"])]
    ) as client:
        yield client


async def test_a_browser_gets_the_page(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql", headers={"Accept": BROWSER})
    assert response.text == "<title>The playground</title>"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert (await client.head("/graphql", headers={"Accept": BROWSER})).status_code == 200


async def test_a_link_to_an_operation_shows_the_page_and_executes_nothing(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql?query={viewer{user{id}}}", headers={"Accept": BROWSER})
    assert response.text == "<title>The playground</title>"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/graphql-response+json", ""])
async def test_a_program_reaches_the_api(client: httpx.AsyncClient, accept: str) -> None:
    assert (await client.get("/graphql", headers={"Accept": accept})).json() == {"api": "GET"}


async def test_a_post_reaches_the_api_whatever_it_accepts(client: httpx.AsyncClient) -> None:
    assert (await client.post("/graphql", headers={"Accept": BROWSER})).json() == {"api": "POST"}


async def test_the_page_may_run_no_inline_script_and_stand_in_no_frame(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/graphql", headers={"Accept": BROWSER})).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["worker-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-cache"
    assert headers["vary"] == "Accept"


async def test_files_are_compressed_and_kept_for_ever(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql/static/index-a1b2c3.js")
    assert response.text == SCRIPT
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "script-src 'self'" in response.headers["content-security-policy"]


async def test_a_file_that_does_not_exist_is_not_found_and_not_kept(client: httpx.AsyncClient) -> None:
    for name in ["old.js", "../index.html", "..%2findex.html"]:
        response = await client.get(f"/graphql/static/{name}")
        assert response.status_code == 404
        assert "immutable" not in response.headers.get("cache-control", "")


async def test_without_a_build_the_page_says_how_to_build_it(client: httpx.AsyncClient, built: Path) -> None:
    (built / "index.html").unlink()
    response = await client.get("/graphql", headers={"Accept": BROWSER})
    assert response.status_code == 200
    assert "make playground" in response.text
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
