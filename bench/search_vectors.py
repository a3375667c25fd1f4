"""An embeddings API that costs next to nothing: a text's vector is the sum of those of its words.

    python -m bench.search_vectors PORT

So texts with rare words in common are similar, and a query's vector takes a millisecond: what is measured
beside it is the search and not the model.
"""

import base64
import json
import re
import sys
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.search_texts import WORDS, vocabulary

DIMENSION: Final = 384
# The similarity of any two texts, as real models have one.
_COMMON: Final = 0.6
_WORD: Final = re.compile(r"\w+")


class WordVectors:
    """Vectors of texts."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2)
        self._rows = {word: row for row, word in enumerate(vocabulary())}
        # Rare words say more; those of no text share the last rows.
        rarity = np.log1p(np.arange(WORDS))[:, np.newaxis]
        self._matrix = (rng.standard_normal((WORDS, DIMENSION)) * rarity).astype(np.float32)
        common = rng.standard_normal(DIMENSION)
        self._common = (common / np.linalg.norm(common)).astype(np.float32)

    def of(self, text: str) -> NDArray[np.float32]:
        """The normalised vector of one text."""
        rows = [self._rows.get(word, zlib.crc32(word.encode()) % WORDS) for word in _WORD.findall(text)]
        own = self._matrix[rows].sum(axis=0) if rows else self._matrix[0]
        vector = self._common * _COMMON**0.5 + own / np.linalg.norm(own) * (1 - _COMMON) ** 0.5
        normalised: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
        return normalised


def serve(port: int) -> None:
    """Answer `/v1/embeddings` until killed; says on standard output that it listens, and where."""
    vectors = WordVectors()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
            data = [
                {"index": n, "embedding": base64.b64encode(vectors.of(text).tobytes()).decode()}
                for n, text in enumerate(texts)
            ]
            content = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
