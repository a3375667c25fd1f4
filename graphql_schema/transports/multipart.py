"""Subscriptions as multipart streams, by Apollo's specification of multipart subscriptions over HTTP."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from graphql_schema.operations import Event, Payload
from graphql_schema.transports.encoding import encode

# The boundary without quotes: some clients look for these very words.
CONTENT_TYPE = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
# Routers and clients read a part when they see the boundary behind it.
BOUNDARY = b"\r\n--graphql"
END = b"--\r\n"


def part(body: Payload) -> bytes:
    """One part, and the boundary that ends it."""
    content = encode(body)
    # With its length, a client knows that the part is whole before the next one comes.
    head = b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
    return head + content + BOUNDARY


HEARTBEAT = part({})


async def pieces(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    """The events in parts, and the end."""
    yield BOUNDARY
    async with aclosing(events):
        async for event in events:
            yield part({"payload": event.payload})
    yield END


def whole(payload: Payload) -> bytes:
    """A stream of one response, and the end."""
    return BOUNDARY + part({"payload": payload}) + END


def farewell(payload: Payload) -> bytes:
    """The last part, with an error of the stream's own, and the end."""
    return part({"payload": None, **payload}) + END
