"""Signals: "something has changed here", told to whoever listens.

A signal says that there is news and never what: listeners look for themselves, so that one signal
may stand for many changes. Signals are for the event loop only; other threads ask it to publish.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID


class Listener:
    """One listener's ear for one topic."""

    def __init__(self) -> None:
        self._published = asyncio.Event()

    @property
    def has_news(self) -> bool:
        """Whether anything was published that no wait has told yet."""
        return self._published.is_set()

    def notify(self) -> None:
        """Note that something was published."""
        self._published.set()

    async def wait(self, timeout: float | None = None) -> bool:
        """Whether anything was published since the last wait that said so, within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._published.wait()
        except TimeoutError:
            return False
        self._published.clear()
        return True


class Signals:
    """The topics of one process and their listeners."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self.forward: Callable[[str], None] | None = None
        """Tells the other processes, if there are any."""

    def publish(self, topic: str) -> None:
        """Wake everybody who listens to `topic`, here and in other processes."""
        self.hear(topic)
        if self.forward is not None:
            self.forward(topic)

    def hear(self, topic: str) -> None:
        """Wake everybody here who listens to `topic`."""
        for listener in self._listeners.get(topic, ()):
            listener.notify()

    def publish_all(self) -> None:
        """Wake every listener here: something has changed that concerns them all."""
        for topic in list(self._listeners):
            self.hear(topic)

    @contextmanager
    def listen(self, topic: str) -> Iterator[Listener]:
        """A listener that misses nothing published to `topic` until the block ends."""
        listener = Listener()
        listeners = self._listeners.setdefault(topic, set())
        listeners.add(listener)
        try:
            yield listener
        finally:
            listeners.remove(listener)
            if not listeners:
                del self._listeners[topic]


def threads_topic(owner_id: UUID) -> str:
    """Published when a thread of this owner has changed."""
    return f"threads:{owner_id}"


def user_topic(user_id: UUID) -> str:
    """Published when this account, or what its tokens are worth, has changed."""
    return f"user:{user_id}"


def texts_topic() -> str:
    """Published when a text may have changed, so that it has to be indexed."""
    return "texts"


def entries_topic() -> str:
    """Published when a text may be waiting for its vectors."""
    return "entries"


def shutdown_topic() -> str:
    """For those who wait for nothing else than the end of this process; `publish_all` wakes them."""
    return "shutdown"
