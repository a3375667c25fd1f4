"""The scripted provider's process: plays scripts over raw HTTP/1.1 and records what it was asked.

`python -m tests.provider.server --port 0` prints `listening <port>`; it ends on SIGTERM and with its parent.
"""

import argparse
import asyncio
import ctypes
import itertools
import re
import signal
import socket
import struct
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

from tests.provider import CONTROL, EVERYWHERE, MODELS, RecordedRequest, models_name
from tests.provider import script as scripts
from tests.provider.script import CloseCleanly, Cut, Script, Send, Sleep, WaitFor

BUFFER = 1024 * 1024
NAMESPACED = re.compile(r"/p/([\w.-]+)(/.*)")
PR_SET_PDEATHSIG = 1
Key = tuple[str, str]  # a namespace, and the name of a model or gate in it


class PeerReader(asyncio.StreamReader):
    """A reader that knows when the peer has gone, even while nobody reads."""

    def __init__(self) -> None:
        super().__init__(limit=BUFFER)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


class State:
    """Scripts, gates and records of all namespaces; `until` looks again whenever `changed` was called."""

    def __init__(self) -> None:
        self.scripts: dict[Key, deque[Script]] = {}
        self.gates: defaultdict[Key, asyncio.Event] = defaultdict(asyncio.Event)
        self.held: Counter[Key] = Counter()
        self.requests: defaultdict[Key, list[RecordedRequest]] = defaultdict(list)
        self.accepted: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self._change = asyncio.Event()

    def changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition came true in time."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await self._change.wait()
        except TimeoutError:
            return False
        return True

    def next_script(self, namespace: str, *names: str) -> Script | None:
        """The next script of the first name that has any; the last one repeats for ever."""
        queues = (self.scripts.get((namespace, name)) for name in names)
        queue = next(filter(None, queues), None)
        if queue is None:
            return None
        return queue.popleft() if len(queue) > 1 else queue[0]

    def count(self, what: str, key: Key) -> int:
        match what:
            case "held":
                return self.held[key]
            case "open":
                return self.open[key[0]]
            case "finished":
                return sum(request.finished for request in self.requests[key])
            case "closed_early":
                return sum(request.closed_early for request in self.requests[key])
            case "requests":
                return len(self.requests[key])
        raise ValueError(f"nothing to count: {what}")

    def forget(self, namespace: str) -> None:
        """Drops the namespace's scripts and records, and lets go of whatever its gates still hold."""
        for gate in [key for key in self.gates if key[0] == namespace]:
            self.gates.pop(gate).set()
        stores: tuple[dict[Key, Any], ...] = (self.scripts, self.requests)
        for store in stores:
            for key in [key for key in store if key[0] == namespace]:
                del store[key]


class Player:
    """Plays one script to one peer, and marks the request finished when its last byte has gone out."""

    def __init__(self, state: State, namespace: str, request: RecordedRequest, script: Script) -> None:
        self.state, self.namespace, self.request, self.script = state, namespace, request, script
        last = script.steps[-1] if script.steps else None
        self.ending = last if isinstance(last, Cut | CloseCleanly) else None
        self.steps = script.steps[:-1] if self.ending else script.steps
        ends_body = self.ending in (None, CloseCleanly(end_body=True))
        self.trailer = b"0\r\n\r\n" if script.framing == "chunked" and ends_body else b""

    async def play(self, writer: asyncio.StreamWriter) -> None:
        if self.script.before_headers is not None:
            await self._hold(self.script.before_headers)
        await self._write(writer, self.script.head)
        for left, step in zip(range(len(self.steps) - 1, -1, -1), self.steps, strict=True):
            match step:
                case Send(data) if left == 0:
                    # With the trailer in the same write, a peer that leaves at [DONE] has not left early.
                    await self._write(writer, self.script.framed(data) + self.trailer, last=True)
                case Send(data):
                    await self._write(writer, self.script.framed(data))
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                case WaitFor(gate):
                    await self._hold(gate)
        if not self.request.finished:
            await self._write(writer, self.trailer, last=True)
        if isinstance(self.ending, Cut):
            reset(writer)

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request after this answer."""
        keeps = self.ending is None and self.script.framing in ("chunked", "length")
        return keeps and self.request.finished and self.request.header("connection").lower() != "close"

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, *, last: bool = False) -> None:
        writer.write(data)
        if writer.transport.get_write_buffer_size():
            await writer.drain()
        if last:
            # Without an await since the write: who has seen the end of the answer sees it finished, too.
            self.request.end(finished=True)
        else:
            await asyncio.sleep(0)

    async def _hold(self, gate: str) -> None:
        key = self.namespace, gate
        self.state.held[key] += 1
        self.state.changed()
        try:
            await self.state.gates[key].wait()
        finally:
            self.state.held[key] -= 1


def reset(writer: asyncio.StreamWriter) -> None:
    """Aborts the connection so that the peer sees a TCP reset."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


class Provider:
    """Serves connections: reads requests, answers each with its script, and obeys the control API."""

    def __init__(self) -> None:
        self.state = State()
        self._numbers = itertools.count(1)

    def protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(PeerReader(), self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, PeerReader)
        writer.transport.set_write_buffer_limits(high=0)
        number, seen = next(self._numbers), set[str]()
        try:
            while (request := await RecordedRequest.read(reader, number)) is not None:
                if request.path.startswith(CONTROL):
                    answer = scripts.json_body(await self._control(request))
                    writer.write(answer.head + answer.body)
                    await writer.drain()
                elif not await self._answer(reader, writer, request, seen):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except ValueError as error:
            writer.write(f"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{error}\n".encode())
        finally:
            for namespace in seen:
                self.state.open[namespace] -= 1
            writer.close()
            self.state.changed()

    async def _answer(
        self, reader: PeerReader, writer: asyncio.StreamWriter, request: RecordedRequest, seen: set[str]
    ) -> bool:
        """Plays the answer for as long as the peer stays; true where the connection can be used again."""
        match = NAMESPACED.fullmatch(request.path)
        if match:
            request.path = match[2]
        namespace = match[1] if match else ""
        for new in {EVERYWHERE, namespace} - seen:
            seen.add(new)
            self.state.accepted[new] += 1
            self.state.open[new] += 1
        player = Player(self.state, namespace, request, self._choose(namespace, request))
        play = asyncio.create_task(player.play(writer))
        gone = asyncio.create_task(reader.gone.wait())
        try:
            await asyncio.wait({play, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            play.cancel()
            gone.cancel()
            request.end(finished=False)
            self.state.changed()
        outcome, _ = await asyncio.gather(play, gone, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome
        return player.reusable

    def _choose(self, namespace: str, request: RecordedRequest) -> Script:
        """Records the request; a scripted answer holds for any path, the pleasant defaults only below /v1."""
        call = request.method, request.path.partition("?")[0]
        asked, name = {}, MODELS
        if call[0] == "POST" or not call[1].endswith("/models"):
            asked = request.json
            name = str(asked.get("model", ""))
        self.state.requests[namespace, name].append(request)
        self.state.changed()
        names = (models_name(request.token), MODELS) if name == MODELS else (name,)
        if (found := self.state.next_script(namespace, *names)) is not None:
            return found
        match call:
            case ("GET", "/v1/models"):
                return scripts.models(["echo"])
            case ("POST", "/v1/chat/completions"):
                return scripts.echo(asked)
        return scripts.json_body({"error": {"message": f"No such route: {' '.join(call)}"}}, status=404)

    async def _control(self, request: RecordedRequest) -> scripts.Json:
        state, ask = self.state, request.json
        key = ask["namespace"], ask["name"]
        match request.path.removeprefix(CONTROL):
            case "script":
                state.scripts[key] = deque(map(scripts.script_from_wire, ask["scripts"]))
            case "open_gate":
                state.gates[key].set()
            case "forget":
                state.forget(ask["namespace"])
            case "requests":
                return {"requests": [recorded.to_wire() for recorded in state.requests[key]]}
            case "connections":
                return {"open": state.open[key[0]], "accepted": state.accepted[key[0]]}
            case "wait":
                what, n, exactly = ask["what"], int(ask["n"]), ask["what"] == "open"

                def holds() -> bool:
                    count = state.count(what, key)
                    return count == n if exactly else count >= n

                return {"met": await state.until(holds, ask["timeout"]), "count": state.count(what, key)}
            case unknown:
                raise ValueError(f"no such control: {unknown}")
        return {}


async def serve(port: int) -> None:
    """Serves on this port of 127.0.0.1 until SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Provider().protocol, "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"listening {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A provider that answers exactly as a test tells it to.")
    parser.add_argument("--port", type=int, default=0)
    if sys.platform == "linux":
        # A parent that is gone before this call has closed our stdout, so that the first print ends us.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
