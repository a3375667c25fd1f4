"""A provider for `bench.streaming`: as many chunks as the prompt asks for, at its rate, each with its time.

    python -m bench.streaming_provider PORT

Prints its port. A prompt such as `chunks=500 rate=12` is answered by 500 chunks of some 200 bytes, twelve a
second; `rate=0` is as fast as they are taken. Each says its number and the nanosecond when it was written.
"""

import asyncio
import heapq
import itertools
import random
import re
import sys
import time
from typing import Final, cast

TICK_SECONDS: Final = 0.002
_AT_ONCE: Final = 64
_ASKED: Final = re.compile(rb"chunks=(\d+) rate=([\d.]+)")
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK: Final = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",'
    b'"choices":[{"index":0,"delta":{"content":"#%07d %019d some words "},"finish_reason":null}]}\n\n'
)
_LAST: Final = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


class Ticker:
    """Lets answers go on when they are due, all by one timer."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Answer]] = []
        self._order = itertools.count()

    def add(self, due: float, answer: "Answer") -> None:
        """Let the answer go on at this time of the loop."""
        heapq.heappush(self._due, (due, next(self._order), answer))

    async def run(self) -> None:
        """Tick for ever."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            while self._due and self._due[0][0] <= now:
                due, _, answer = heapq.heappop(self._due)
                if answer.go_on():
                    self.add(due + answer.interval, answer)
            await asyncio.sleep(TICK_SECONDS)


class Answer:
    """One answer being written."""

    def __init__(self, connection: "Connection", chunks: int, rate: float) -> None:
        self.interval = 1 / rate if rate else 0.0
        self._connection = connection
        self._chunks = chunks
        self._next = 1

    def go_on(self) -> bool:
        """Write one chunk, or the end; whether there is more to come."""
        return self._write(1)

    def pour(self) -> None:
        """Write until the end, or until the other side does not take more for now."""
        while self._connection.takes_more and self._write(_AT_ONCE):
            pass

    def _write(self, most: int) -> bool:
        count = min(most, self._chunks - self._next + 1)
        now = time.monotonic_ns()
        body = b"".join(_CHUNK % (number, now) for number in range(self._next, self._next + count))
        self._next += count
        if self._next > self._chunks:
            self._connection.finish(body + _LAST)
            return False
        return self._connection.write(body)


class Connection(asyncio.Protocol):
    """One client's connection, on which answers come one after the other."""

    def __init__(self, ticker: Ticker) -> None:
        self.takes_more = True
        self._ticker = ticker
        self._received = bytearray()
        self._answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = bytes(self._received).partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or length is None or len(body) < int(length[1]):
            return
        self._received.clear()
        asked = _ASKED.findall(body)[-1]
        self._answer = answer = Answer(self, int(asked[0]), float(asked[1]))
        self._transport.write(_HEAD)
        if not answer.interval:
            answer.pour()
        elif answer.go_on():
            # Streams that began together must not stay in step.
            due = asyncio.get_running_loop().time() + answer.interval * random.random()  # noqa: S311
            self._ticker.add(due, answer)

    def pause_writing(self) -> None:
        self.takes_more = False

    def resume_writing(self) -> None:
        self.takes_more = True
        if self._answer is not None and not self._answer.interval:
            self._answer.pour()

    def write(self, body: bytes) -> bool:
        """Whether the client is still there to get it."""
        self._transport.write(b"%x\r\n%s\r\n" % (len(body), body))
        return not self._transport.is_closing()

    def finish(self, body: bytes) -> None:
        """Write the last of an answer."""
        self._answer = None
        self._transport.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))


async def main() -> None:
    """Serve until the process is killed."""
    ticker = Ticker()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(ticker), "127.0.0.1", int(sys.argv[1]), backlog=2048
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ticker.run()


if __name__ == "__main__":
    asyncio.run(main())
