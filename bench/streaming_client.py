"""The load of `bench.streaming`: streams by raw sockets, each chunk looked at for its number and its age.

    python -m bench.streaming_client PLAN OUT

PLAN is JSON: `host`, `port`, `requests` (each a whole HTTP request), and `readers`: how many more follow each
run, by its `X-Run-Id`, with the headers `reader_headers`. With `reader_port` they do so there, and only what
comes to them is noted. All start at once. On stdout: `flowing` when each
stream has had its first chunk, `ending` when the first has ended. OUT is a NumPy archive of what came.
"""

import asyncio
import functools
import json
import re
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

_CHUNK: Final = re.compile(rb'"content":"#(\d+) (\d+) ')
_RUN_ID: Final = re.compile(rb"x-run-id: *(\S+)", re.IGNORECASE)


class Tally:
    """What came, of all streams together: times in nanoseconds of the monotonic clock."""

    def __init__(self, streams: int) -> None:
        self.arrivals = array("q")
        self.ages = array("q")
        self.first_chunks = array("q")
        self.dropped = self.repeated = self.failed = 0
        self._open = self._silent = streams
        self._was_refused = False
        self.ended = asyncio.Event()

    def began(self, waited: int) -> None:
        """A stream has had its first chunk, so long after its request."""
        self.first_chunks.append(waited)
        self._silent -= 1
        if not self._silent:
            _say("flowing")

    def closed(self, *, is_whole: bool, was_silent: bool) -> None:
        """A stream has ended."""
        if was_silent:
            self._silent -= 1
        if not is_whole:
            self.failed += 1
        if not self.ended.is_set() and self._open:
            _say("ending")
        self._open -= 1
        if not self._open:
            self.ended.set()

    def refused(self, answer: bytes) -> None:
        """Show what a stream had for an answer; the first one is enough."""
        if not self._was_refused:
            sys.stderr.write(f"{answer[:1000].decode(errors='replace')}\n")
        self._was_refused = True

    def count(self, number: int, expected: int) -> None:
        """Note a chunk that is not the one that should have come."""
        if number > expected:
            self.dropped += number - expected
        else:
            self.repeated += 1


class Stream(asyncio.Protocol):
    """One stream, from its request to its end."""

    def __init__(
        self,
        tally: Tally,
        request: bytes,
        told: Callable[[bytes], None] = lambda _: None,
        *,
        is_noted: bool = True,
    ) -> None:
        self._is_noted = is_noted
        self._tally = tally
        self._request = request
        self._told = told
        self._raw = b""
        self._text = b""
        self._in_body = self._is_chunked = self._is_over = False
        self._expected = 1
        self._sent = time.monotonic_ns()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sent = time.monotonic_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._raw += data
        if not self._in_body and not self._head():
            return
        self.feed(self._body(), now)

    def feed(self, text: bytes, now: int) -> None:
        """Take a part of the body, which may end anywhere."""
        text = self._text + text
        end = text.rfind(b"\n\n") + 1
        self._text = text[end:]
        for match in _CHUNK.finditer(text, 0, end):
            number = int(match[1])
            if number == 1 == self._expected:
                self._tally.began(now - self._sent)
            if number != self._expected:
                self._tally.count(number, self._expected)
            self._expected = max(self._expected, number + 1)
            if self._is_noted:
                self._tally.arrivals.append(now)
                self._tally.ages.append(now - int(match[2]))
        if not self._is_over and b"data: [DONE]" in text:
            self._is_over = True
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._tally.closed(is_whole=self._is_over, was_silent=self._expected == 1)

    def _head(self) -> bool:
        head, separator, rest = self._raw.partition(b"\r\n\r\n")
        if not separator:
            return False
        self._in_body, self._raw = True, rest
        self._is_chunked = b"transfer-encoding: chunked" in head.lower()
        if b" 200 " not in head[:16]:
            self._tally.refused(head + rest)
            self._transport.abort()
        run_id = _RUN_ID.search(head)
        if run_id is not None:
            self._told(run_id[1])
        return True

    def _body(self) -> bytes:
        if not self._is_chunked:
            body, self._raw = self._raw, b""
            return body
        raw, at, parts = self._raw, 0, []
        while (line := raw.find(b"\r\n", at)) >= 0:
            size = int(raw[at:line], 16)
            end = line + 2 + size
            if len(raw) < end + 2:
                break
            parts.append(raw[line + 2 : end])
            at = end + 2
        self._raw = raw[at:]
        return b"".join(parts)


async def load(plan: dict[str, Any]) -> Tally:
    """All streams of the plan, to their ends."""
    loop = asyncio.get_running_loop()
    requests = [request.encode() for request in plan["requests"]]
    readers, reader_port = plan.get("readers", 0), plan.get("reader_port", plan["port"])
    senders_are_noted = "reader_port" not in plan
    tally = Tally(len(requests) * (1 + readers))
    tasks: set[asyncio.Task[Any]] = set()

    def settled(task: asyncio.Task[Any]) -> None:
        tasks.discard(task)
        if task.exception() is not None:
            tally.closed(is_whole=False, was_silent=True)

    def open_stream(make: Callable[[], Stream], port: int) -> None:
        task = loop.create_task(loop.create_connection(make, plan["host"], port))
        tasks.add(task)
        task.add_done_callback(settled)

    def follow(run_id: bytes) -> None:
        if not readers:
            return
        path = b"GET /api/runs/%s/events HTTP/1.1\r\n" % run_id
        request = path + plan["reader_headers"].encode() + b"\r\n\r\n"
        for _ in range(readers):
            open_stream(functools.partial(Stream, tally, request), reader_port)

    for request in requests:
        sender = functools.partial(Stream, tally, request, follow, is_noted=senders_are_noted)
        open_stream(sender, plan["port"])
    await tally.ended.wait()
    return tally


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Load, and write down what came."""
    tally = asyncio.run(load(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    np.savez(
        sys.argv[2],
        arrivals=np.array(tally.arrivals, dtype=np.int64),
        ages=np.array(tally.ages, dtype=np.int64),
        first_chunks=np.array(tally.first_chunks, dtype=np.int64),
        faults=np.array([tally.dropped, tally.repeated, tally.failed], dtype=np.int64),
    )


if __name__ == "__main__":
    main()
