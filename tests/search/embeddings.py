"""An embeddings API whose vectors are known: words that mean the same share a direction."""

import json
import re
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

DIMENSION = 64
# Each row is one meaning; words of no row have one of their own.
MEANINGS = (
    {"dog", "hound", "собака", "пёс", "пес"},
    {"hotel", "inn", "гостиница", "unterkunft"},
    {"rome", "рим", "rom"},
)


def direction(word: str) -> int:
    """The axis of a word's meaning; those of other words are among the rest, as their letters have it."""
    for axis, words in enumerate(MEANINGS):
        if word in words:
            return axis
    return len(MEANINGS) + zlib.crc32(word.encode()) % (DIMENSION - len(MEANINGS))


def vector(text: str) -> list[float]:
    row = [0.001] * DIMENSION
    for word in re.findall(r"\w+", text.lower()):
        row[direction(word)] += 1
    return row


class EmbeddingApi:
    """Answers `/v1/embeddings` on a port of its own; is busy while `is_down`, and with some texts."""

    def __init__(self) -> None:
        self.is_down = False
        self.busy_with: str | None = None
        self.refused = threading.Event()
        self.texts: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                api.texts += request["input"]
                status, body = api.answer(request["input"])
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, texts: list[str]) -> tuple[int, dict[str, Any]]:
        if self.is_down or (self.busy_with is not None and any(self.busy_with in text for text in texts)):
            self.refused.set()
            return 503, {"error": {"message": "down"}}
        return 200, {"data": [{"index": n, "embedding": vector(text)} for n, text in enumerate(texts)]}

    @property
    def settings(self) -> dict[str, str]:
        """What makes a server use this API."""
        return {
            "CHAT_EMBEDDING_API_BASE": self.url,
            "CHAT_EMBEDDING_MODEL_NAME": "words",
            "CHAT_SEARCH_DEADLINE_SECONDS": "60",  # the machine of the tests may be busy
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
