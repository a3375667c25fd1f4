"""A scripted OpenAI-compatible provider that runs as a process of its own.

Tests use `client.ProviderProcess` and the builders of `script`. Here is the record that passes between the
process and its client: one request, as it arrived, and what became of its answer.
"""

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

MODELS = "GET /models"  # the name under which requests for the list of models are scripted and recorded
CONTROL = "/__control/"
EVERYWHERE = "*"  # counts the connections of the whole process; no namespace can have this name
MAX_BODY = 64 * 1024 * 1024


def models_name(token: str | None) -> str:
    """The name that scripts a list of models for one bearer token, or for all that have none of their own."""
    return MODELS if token is None else f"{MODELS} {token}"


@dataclass
class RecordedRequest:
    """One request. Of its answer: `finished` once all of it was sent, `closed_early` if the peer left before.

    Exactly one of the two becomes true, at `ended_at`. Times are `time.monotonic()`, which on one machine all
    processes share. `path` is without the namespace; `connection` is the same for requests on one connection.
    """

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    received_at: float = field(default_factory=time.monotonic)
    ended_at: float | None = None
    finished: bool = False
    closed_early: bool = False

    def header(self, name: str) -> str:
        """The header's value, several joined by commas, or an empty string."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def token(self) -> str:
        """The bearer token, or an empty string."""
        scheme, _, token = self.header("authorization").partition(" ")
        return token if scheme.lower() == "bearer" else ""

    @property
    def json(self) -> dict[str, Any]:
        """The body where it is a JSON object, else an empty one."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def end(self, *, finished: bool) -> None:
        """Settles what became of the answer; the first word counts."""
        if self.ended_at is None:
            self.finished, self.closed_early = finished, not finished
            self.ended_at = time.monotonic()

    def to_wire(self) -> dict[str, Any]:
        return vars(self) | {"body": base64.b64encode(self.body).decode("ascii")}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        headers = [(name, value) for name, value in wire["headers"]]
        return cls(**wire | {"headers": headers, "body": base64.b64decode(wire["body"])})

    @classmethod
    async def read(cls, reader: asyncio.StreamReader, connection: int) -> Self | None:
        """The next request on a connection, or None where the peer has closed it in between.

        Raises ValueError for what is not HTTP or too large, IncompleteReadError where the peer left halfway.
        """
        line = await reader.readline()
        if not line:
            return None
        method, path, _version = line.decode("latin-1").split()
        request = cls(method, path, await _read_headers(reader), b"", connection)
        if "chunked" in request.header("transfer-encoding").lower():
            request.body = await _read_chunks(reader)
        else:
            request.body = await _read_sized(reader, int(request.header("content-length") or 0))
        request.received_at = time.monotonic()
        return request


async def _read_headers(reader: asyncio.StreamReader) -> list[tuple[str, str]]:
    headers = []
    while line := (await reader.readuntil(b"\n")).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    return headers


async def _read_sized(reader: asyncio.StreamReader, size: int) -> bytes:
    if size > MAX_BODY:
        raise ValueError("the body is too large")
    return await reader.readexactly(size)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\n")).partition(b";")[0], 16):
        body += await _read_sized(reader, size)
        await reader.readuntil(b"\n")
        if len(body) > MAX_BODY:
            raise ValueError("the body is too large")
    await _read_headers(reader)
    return bytes(body)
