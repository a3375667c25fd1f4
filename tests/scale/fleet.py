"""Fifty answers on three servers, and readers who come back wherever somebody answers them."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from tests.clients import DONE, Client
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.runs.following import Frame, following, run, start, text_of
from tests.servers import ServerProcess

STREAMS = 50
PATIENCE = 90.0
# A reader is told something at least every ten seconds, by a heartbeat.
LONGEST_SILENCE = 15.0
FIRST, SECOND, THIRD = ([f"{part}{number} " for number in range(20)] for part in "abc")
WHOLE = "".join([*FIRST, *SECOND, *THIRD])


@dataclass
class Story:
    """What one reader was told, all connections together."""

    frames: list[Frame] = field(default_factory=list)
    longest_silence: float = 0.0

    @property
    def text(self) -> str:
        """What a client shows after all of it."""
        return text_of(self.frames)

    @property
    def ends(self) -> int:
        """How often the end was told."""
        return [frame.data for frame in self.frames].count(DONE)

    @property
    def cursor(self) -> str | None:
        """Where to go on."""
        return next((frame.cursor for frame in reversed(self.frames) if frame.cursor is not None), None)


class Fleet:
    """Servers, one account, and `STREAMS` runs that go on when `gate` and then `gate 2` are opened."""

    def __init__(self, servers: Sequence[ServerProcess], provider: ProviderProcess, model: str) -> None:
        self.servers, self.provider, self.model = servers, provider, model
        self.gone: set[int] = set()
        self._is_over = False
        self.clients = [server.admin() for server in servers]
        self._pool = ThreadPoolExecutor(STREAMS)
        provider.script(model, text_stream(*FIRST, WaitFor(model), *SECOND, WaitFor(f"{model} 2"), *THIRD))
        self.threads = [self.clients[0].new_thread()["id"] for _ in range(STREAMS)]
        self.runs = [
            start(self.clients[number % len(servers)], thread_id, f"Question {number}", model=model)
            for number, thread_id in enumerate(self.threads)
        ]
        provider.wait_until_held(model, STREAMS)
        self._stories = [self._pool.submit(self._follow, number) for number in range(STREAMS)]

    def close(self) -> None:
        """Let every client go."""
        self._is_over = True
        self._pool.shutdown(cancel_futures=True)
        for client in self.clients:
            client.close()

    def home(self, number: int) -> int:
        """The server that writes this run."""
        return number % len(self.servers)

    def open_first(self, held: int = STREAMS) -> None:
        """Let the second third out; return once `held` runs have taken it."""
        self.provider.open_gate(self.model)
        self.provider.wait_until_held(f"{self.model} 2", held)

    def open_second(self) -> None:
        """Let the rest out."""
        self.provider.open_gate(f"{self.model} 2")

    def stories(self) -> list[Story]:
        """What the readers were told, once all of them have seen the end."""
        return [story.result(PATIENCE) for story in self._stories]

    def stored(self, number: int) -> tuple[str, list[str]]:
        """The status of a run, and the texts of its thread, as a server that lives says."""
        client = next(client for place, client in enumerate(self.clients) if place not in self.gone)
        messages = client.messages(self.threads[number])
        return run(client, self.runs[number])["status"], [message["text"] for message in messages]

    def _follow(self, number: int) -> Story:
        """Read on another server than the one that writes, and on the next whenever one is gone."""
        story, place = Story(), number + 1
        deadline = time.monotonic() + PATIENCE
        heard_at = time.monotonic()
        while not story.ends:
            assert time.monotonic() < deadline, story
            assert not self._is_over
            place += 1
            if place % len(self.servers) in self.gone:
                continue
            try:
                with following(self._client(place), self.runs[number], after=story.cursor) as frames:
                    for frame in frames:
                        story.longest_silence = max(story.longest_silence, time.monotonic() - heard_at)
                        heard_at = time.monotonic()
                        story.frames.append(frame)
            except (httpx.HTTPError, AssertionError):  # refused, cut within a frame, or told to come back
                time.sleep(0.1)
        return story

    def _client(self, place: int) -> Client:
        return self.clients[place % len(self.clients)]


def assert_told(stories: Sequence[Story], texts: Sequence[str]) -> None:
    """Every reader was told this text, without a gap, one end, and was never left alone for long."""
    for story, text in zip(stories, texts, strict=True):
        assert story.text == text
        assert story.ends == 1
        assert story.longest_silence < LONGEST_SILENCE
