"""What the transports say, down to frames, parts and close codes; and what each error must be like."""

import json
import re
import socket as net
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, NoReturn

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.clients import Client

EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed;subscriptionSpec=1.0"
STREAM_TOKEN = "x-graphql-event-stream-token"
PREFLIGHT = {"GraphQL-Require-Preflight": "1"}
THREADS = "subscription { threadsChanged { __typename ... on Event { cursor } } }"

Compression = Literal["deflate"] | None

# What only an implementation in Python would say.
_FOREIGN_WORDS = re.compile(
    r"Traceback|<class|instance>|NoneType|\b(None|True|False|str|int|dict)\b|msgspec|starlette|Exception|encountered|Exceeds"
)


def post(client: httpx.Client, body: object, **headers: str) -> httpx.Response:
    """POST of JSON; bytes and text as they are."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/graphql", content=content, headers={"Content-Type": "application/json", **names})


def codes(answer: dict[str, Any]) -> list[str]:
    """The codes of the errors in an answer, each of which must be fit for callers."""
    errors = answer["errors"]
    assert errors
    for error in errors:
        assert error["message"], error
        assert not _FOREIGN_WORDS.search(error["message"]), error
    return [error["extensions"]["code"] for error in errors]


def refused(response: httpx.Response, status: int) -> str:
    """The code of the one error of a request that was refused with this status."""
    assert response.status_code == status, response.text
    (code,) = codes(response.json())
    return code


class Socket:
    """A connection of graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, message: object) -> None:
        """Send an object as JSON; bytes and text as they are."""
        self.connection.send(message if isinstance(message, bytes | str) else json.dumps(message))

    def subscribe(self, query: str, operation_id: str = "1", **variables: Any) -> None:
        payload = {"query": query, "variables": variables}
        self.send({"id": operation_id, "type": "subscribe", "payload": payload})

    def receive(self) -> dict[str, Any]:
        """The next message."""
        text = self.connection.recv(timeout=10)
        assert isinstance(text, str)
        message: dict[str, Any] = json.loads(text)
        return message

    def closed(self) -> tuple[int, str]:
        """How the server closed the connection; messages before that are skipped."""
        with pytest.raises(ConnectionClosed) as caught:
            self._read_on()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code, caught.value.rcvd.reason

    def _read_on(self) -> NoReturn:
        while True:
            self.connection.recv(timeout=10)


@contextmanager
def socket(
    client: Client,
    *,
    init: bool = True,
    subprotocols: tuple[str, ...] = ("graphql-transport-ws",),
    origin: str | None = None,
    compression: Compression = "deflate",
    deaf: bool = False,
    params: str = "",
) -> Iterator[Socket]:
    """A connection, with the client's token unless it is not to be initialised yet.

    A deaf one takes in no more than it is asked for, and its receive buffer does not grow.
    """
    with connect(
        f"{client.base_url}".replace("http", "ws", 1).rstrip("/") + f"/graphql?{params}",
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        origin=Origin(origin) if origin is not None else None,
        compression=compression,
        max_queue=1 if deaf else None,
        sock=_narrow(client) if deaf else None,
    ) as connection:
        opened = Socket(connection)
        if init:
            authorization = client.headers.get("authorization")
            payload = {"Authorization": authorization} if authorization else {}
            opened.send({"type": "connection_init", "payload": payload})
            assert opened.receive() == {"type": "connection_ack"}
        yield opened


def _narrow(client: Client) -> net.socket:
    """A connection for which the kernel keeps little; left alone, it would take in more after a while."""
    narrow = net.socket()
    narrow.setsockopt(net.SOL_SOCKET, net.SO_RCVBUF, 16384)
    narrow.connect((client.base_url.host, client.base_url.port))
    return narrow


class Frame(NamedTuple):
    """One server-sent event."""

    event: str
    data: Any
    id: str | None = None


def parse_frame(text: str) -> Frame | None:
    """The event between two blank lines; None for a comment alone."""
    fields = dict(line.split(":", 1) for line in text.split("\n") if not line.startswith(":"))
    if not fields:
        return None
    assert set(fields) <= {"event", "data", "id"}, text
    data = fields["data"].strip()
    return Frame(
        fields["event"].strip(), json.loads(data) if data else None, fields.get("id", "").strip() or None
    )


class EventStream:
    """An open stream of server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._blocks = self._split(response.iter_raw())

    def block(self) -> str:
        """The next event or comment, as it was written."""
        return next(self._blocks)

    def __iter__(self) -> Iterator[Frame]:
        """The events until the stream ends."""
        for block in self._blocks:
            frame = parse_frame(block)
            if frame is not None:
                yield frame

    def next(self) -> Frame:
        return next(iter(self))

    @staticmethod
    def _split(pieces: Iterator[bytes]) -> Iterator[str]:
        text = ""
        for piece in pieces:
            text += piece.decode()
            assert "\r" not in text, "some clients split at LF only"
            *blocks, text = text.split("\n\n")
            yield from blocks
        assert text == ""


@contextmanager
def event_stream(client: httpx.Client, query: str, **headers: str) -> Iterator[EventStream]:
    """An operation on an event stream of its own; leaving the block hangs up."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with client.stream(
        "POST", "/graphql", json={"query": query}, headers={"Accept": EVENT_STREAM, **names}
    ) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield EventStream(response)


class Parts:
    """An open multipart stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._parts = self._split(response.iter_raw())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The parts, heartbeats included, until the closing boundary."""
        return self._parts

    def next(self) -> dict[str, Any]:
        """The next part that is no heartbeat."""
        return next(part for part in self._parts if part)

    @staticmethod
    def _split(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
        text = ""
        is_first = True
        for piece in pieces:
            text += piece.decode()
            *parts, text = text.split("\r\n--graphql")
            for part in parts:
                if is_first:
                    assert part == ""
                    is_first = False
                    continue
                head, body = part.split("\r\n\r\n")
                assert set(head.split("\r\n")) == {
                    "",
                    "Content-Type: application/json",
                    f"Content-Length: {len(body.encode())}",
                }
                yield json.loads(body)
        assert text == "--\r\n"


@contextmanager
def multipart(client: httpx.Client, query: str, accept: str = MULTIPART) -> Iterator[Parts]:
    """An operation on a multipart stream; leaving the block hangs up."""
    with client.stream("POST", "/graphql", json={"query": query}, headers={"Accept": accept}) as response:
        assert response.status_code == 200, response.read()
        content_type = response.headers["content-type"]
        assert content_type == "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
        yield Parts(response)


class SharedStream:
    """One event stream for many operations, open."""

    def __init__(self, client: httpx.Client, token: str, stream: EventStream) -> None:
        self._client = client
        self.token = token
        self.stream = stream

    def start(self, query: str, operation_id: str = "1", **variables: Any) -> httpx.Response:
        """Start an operation."""
        return start(self._client, self.token, query, operation_id, **variables)

    def stop(self, operation_id: str = "1") -> httpx.Response:
        """Stop an operation."""
        headers = {STREAM_TOKEN: self.token}
        return self._client.delete("/graphql", headers=headers, params={"operationId": operation_id})

    def next(self) -> Frame:
        return self.stream.next()


def reserve(client: httpx.Client) -> str:
    """The token of a new shared stream."""
    response = client.put("/graphql")
    assert response.status_code == 201, response.text
    return response.text


def start(
    client: httpx.Client, token: str, query: str, operation_id: str = "1", **variables: Any
) -> httpx.Response:
    """Start an operation on the shared stream of this token."""
    body = {"query": query, "variables": variables, "extensions": {"operationId": operation_id}}
    return client.post("/graphql", json=body, headers={STREAM_TOKEN: token})


@contextmanager
def shared_stream(client: httpx.Client, token: str | None = None) -> Iterator[SharedStream]:
    """A shared stream, reserved and opened; leaving the block hangs up."""
    token = token or reserve(client)
    headers = {"Accept": EVENT_STREAM, STREAM_TOKEN: token}
    with client.stream("GET", "/graphql", headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield SharedStream(client, token, EventStream(response))
