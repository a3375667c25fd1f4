"""Vectors over HTTP, from a real socket that answers well, badly, late or not at all."""

import base64
import contextlib
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from core.search.embedding import Embedder, new_embedder
from core.search.embedding_errors import EmbeddingUnavailable, PassagesRefused
from core.settings import Settings

KEY = "key-that-nobody-may-see"


def vector(text: str) -> list[float]:
    return [float(len(text)), float(ord(text[-1])), 1.0]


def good(texts: list[str], request: dict[str, Any]) -> list[dict[str, Any]]:
    """What a server with OpenAI's manners sends; the last first, since the index says where it belongs."""
    rows = [vector(text) for text in texts]
    as_base64 = request.get("encoding_format") == "base64"
    items = [
        {
            "index": index,
            "embedding": base64.b64encode(struct.pack("<3f", *row)).decode() if as_base64 else row,
        }
        for index, row in enumerate(rows)
    ]
    return items[::-1]


Answer = tuple[int, dict[str, str], Any]
Script = Callable[[dict[str, Any]], Answer]


def ok(request: dict[str, Any]) -> Answer:
    return 200, {}, {"data": good(request["input"], request)}


class Api:
    """An embeddings API on a port of its own."""

    def __init__(self) -> None:
        self.script: Script = ok
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                api.requests.append(request)
                api.headers.append({name.lower(): value for name, value in self.headers.items()})
                api.paths.append(self.path)
                status, headers, body = api.script(request)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):  # who had enough of it may hang up
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def api() -> Iterator[Api]:
    running = Api()
    yield running
    running.close()


@contextlib.asynccontextmanager
async def embedding(url: str, **fields: Any) -> Any:
    settings = Settings(
        _env_file=None,
        **{
            "embedding_api_base": f"{url}/v1",
            "embedding_api_key": KEY,
            "embedding_model_name": "model-without-family",
            **fields,
        },
    )
    embedder: Embedder = new_embedder(settings)
    try:
        yield embedder
    finally:
        await embedder.close()


def expected(texts: list[str]) -> Any:
    rows = np.array([vector(text) for text in texts], np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("floats", [True, False])
async def test_answers_are_put_into_order_by_index(api: Api, *, floats: bool) -> None:
    if floats:
        api.script = lambda request: (200, {}, {"data": good(request["input"], {})})
    texts = ["b", "a", "ccc", "dd"]
    async with embedding(api.url) as embedder:
        assert np.allclose(await embedder.embed_passages(texts), expected(texts))
        assert np.allclose(await embedder.embed_query("q"), expected(["q"])[0])
    assert {request["model"] for request in api.requests} == {"model-without-family"}
    assert api.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/v1/embeddings"),
        ("/", "/v1/embeddings"),
        ("/v1/", "/v1/embeddings"),
        ("/some/proxy/v2", "/some/proxy/v2/embeddings"),
        ("/v1/embeddings", "/v1/embeddings"),
    ],
)
async def test_a_base_url_may_be_given_as_people_do(api: Api, base: str, path: str) -> None:
    async with embedding(api.url, embedding_api_base=api.url + base) as embedder:
        await embedder.embed_query("q")
    assert api.paths == [path]


async def test_a_server_without_an_index_keeps_the_order(api: Api) -> None:
    api.script = lambda request: (
        200,
        {},
        {"data": [{"embedding": vector(text)} for text in request["input"]]},
    )
    async with embedding(api.url) as embedder:
        assert np.allclose(await embedder.embed_passages(["a", "b"]), expected(["a", "b"]))


async def test_a_server_that_refuses_base64_is_asked_once(api: Api) -> None:
    def script(request: dict[str, Any]) -> Answer:
        if "encoding_format" in request:
            return 422, {}, {"detail": "Extra inputs are not permitted: encoding_format"}
        return ok(request)

    api.script = script
    async with embedding(api.url) as embedder:
        await embedder.embed_query("a")
        await embedder.embed_query("b")
    assert ["encoding_format" in request for request in api.requests] == [True, False, False]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_busy_server_is_asked_again_when_it_says(api: Api, status: int) -> None:
    def script(request: dict[str, Any]) -> Answer:
        return ok(request) if len(api.requests) > 2 else (status, {"Retry-After": "0.05"}, {})

    api.script = script
    async with embedding(api.url) as embedder:
        assert (await embedder.embed_passages(["a"])).shape == (1, 3)
    assert [request["input"] for request in api.requests] == [["ok"]] * 4 + [["a"]]


async def test_nobody_waits_long_for_a_query(api: Api) -> None:
    api.script = lambda _: (429, {"Retry-After": "20"}, {})
    began = time.monotonic()
    async with embedding(api.url) as embedder:
        with pytest.raises(EmbeddingUnavailable, match="busy"):
            await embedder.embed_query("a")
    assert time.monotonic() - began < 5
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "CHAT_EMBEDDING_API_KEY"),
        (403, "CHAT_EMBEDDING_API_KEY"),
        (404, "CHAT_EMBEDDING_MODEL_NAME"),
        (302, "HTTP status 302"),
        (501, "HTTP status 501"),
    ],
)
async def test_what_no_text_is_to_blame_for_is_unavailable(api: Api, status: int, sentence: str) -> None:
    api.script = lambda _: (status, {"Location": "http://127.0.0.1:9/"}, {"error": "inner detail"})
    async with embedding(api.url) as embedder:
        with pytest.raises(EmbeddingUnavailable, match=sentence) as told:
            await embedder.embed_passages(["a", "b"])
    assert "inner detail" not in str(told.value)
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_the_one_text_that_a_server_refuses_is_found(api: Api, status: int) -> None:
    def script(request: dict[str, Any]) -> Answer:
        if any("poison" in text for text in request["input"]):
            return status, {"Retry-After": "0"}, {"error": {"message": "cannot be done"}}
        return ok(request)

    api.script = script
    texts = [*"abcdefg", "poison"]
    async with embedding(api.url) as embedder:
        with pytest.raises(PassagesRefused) as told:
            await embedder.embed_passages(texts)
    assert told.value.refused == {7}
    assert np.allclose(told.value.vectors[:7], expected(texts[:7]))


@pytest.mark.parametrize("status", [400, 413, 500])
async def test_a_text_that_is_too_long_is_halved(api: Api, status: int) -> None:
    def script(request: dict[str, Any]) -> Answer:
        if any(len(text) > 30 for text in request["input"]):
            return status, {}, {"error": {"message": "This model's maximum context length is 30"}}
        return ok(request)

    api.script = script
    async with embedding(api.url) as embedder:
        vectors = await embedder.embed_passages(["short", "x" * 60])
    assert np.allclose(vectors, expected(["short", "x" * 30]), atol=1e-6)
    assert len(api.requests) <= 8  # two harmless texts, batch, two singles, another, two halves


NAN = base64.b64encode(struct.pack("<3f", 1, float("nan"), 2)).decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        {},
        {"data": []},
        {"data": None},
        {"data": [{"index": 0}]},
        {"data": [{"index": 1, "embedding": [1, 2, 3]}]},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [0, 0, 0]}]},
        {"data": [{"index": 0, "embedding": [None, 1, 2]}]},
        {"data": [{"index": 0, "embedding": [1e300, 1, 2]}]},
        b'{"data": [{"index": 0, "embedding": [NaN, 1, 2]}]}',
        {"data": [{"index": 0, "embedding": NAN}]},
        {"data": [{"index": 0, "embedding": "!!!"}]},
        {"data": [{"index": 0, "embedding": "YWI="}]},
        {"data": [{"index": 0, "embedding": [[1, 2], [3, 4]]}]},
    ],
)
async def test_an_answer_without_usable_vectors_is_unavailable(api: Api, body: Any) -> None:
    api.script = lambda _: (200, {}, body)
    async with embedding(api.url) as embedder:
        with pytest.raises(EmbeddingUnavailable):
            await embedder.embed_query("a")


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end_is_cut(api: Api, status: int) -> None:
    api.script = lambda _: (status, {}, b" " * 4_000_000)
    async with embedding(api.url) as embedder:
        with pytest.raises(EmbeddingUnavailable):
            await embedder.embed_query("a")


async def test_a_server_that_is_not_there_is_unavailable_and_welcome_later() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    async with embedding(url) as embedder:
        with pytest.raises(EmbeddingUnavailable, match="cannot be reached"):
            await embedder.embed_passages(["a"])
    api = Api()
    try:
        async with embedding(url, embedding_api_base=api.url) as embedder:
            await embedder.embed_passages(["a"])
    finally:
        api.close()


async def test_a_server_that_is_silent_is_given_up_in_time(api: Api) -> None:
    silent = threading.Event()

    def script(request: dict[str, Any]) -> Answer:
        silent.wait(10)
        return ok(request)

    api.script = script
    async with embedding(api.url, embedding_timeout_seconds=0.2) as embedder:
        with pytest.raises(EmbeddingUnavailable, match=r"within 0\.2 seconds"):
            await embedder.embed_passages(["a"])
    silent.set()


async def test_one_servers_cookies_are_not_sent_with_other_texts(api: Api) -> None:
    def script(request: dict[str, Any]) -> Answer:
        status, _, body = ok(request)
        return status, {"Set-Cookie": "session=abc; Path=/"}, body

    api.script = script
    async with embedding(api.url) as embedder:
        await embedder.embed_query("a")
        await embedder.embed_query("b")
    assert "cookie" not in api.headers[1]


async def test_neither_key_nor_texts_are_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api.script = lambda request: (500, {"Retry-After": "0"}, {"error": str(request)})
    async with embedding(api.url) as embedder:
        with pytest.raises(EmbeddingUnavailable) as told:
            await embedder.embed_passages(["a secret text"])
    everything = caplog.text + repr(told.value) + repr(embedder.__dict__)
    assert KEY not in everything
    assert "secret text" not in everything
