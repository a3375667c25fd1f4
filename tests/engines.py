"""The engines of many processes, all of them, as a server is told of them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgresql import postgresql
from tests.search.chroma_processes import ChromaServer
from tests.valkey import valkey


@contextmanager
def engines() -> Iterator[dict[str, str]]:
    """Settings that name a PostgreSQL, a Valkey and a Chroma server, all empty, until the block ends."""
    with (
        tempfile.TemporaryDirectory() as directory,
        postgresql() as database_url,
        valkey() as broker,
        ChromaServer(Path(directory)) as chroma,
    ):
        yield {
            "CHAT_DATABASE_URL": database_url,
            "CHAT_REDIS_URL": broker.url,
            "CHAT_CHROMA_URL": chroma.url,
        }
